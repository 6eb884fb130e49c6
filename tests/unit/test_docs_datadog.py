"""What the documents and assets for Datadog name exists: metrics, tags, events, commands, links."""

import json
import re
from functools import cache
from pathlib import Path

import click
import pytest

from dispatcher.cli.root import cli
from dispatcher.domain.condition_texts import TEXTS
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.settings.key_paths import known
from dispatcher.telemetry.datadog_assets.bundle import FOLDER, read_bundle
from dispatcher.telemetry.datadog_assets.metric_checks import CLOSED_TAGS, CONSTANT_TAGS
from dispatcher.telemetry.metrics.catalog import METRICS, PER_CLIENT

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BUNDLE = read_bundle()
MESSAGES = "\n".join(m["definition"]["message"] for m in BUNDLE.monitors.values())
DASHBOARD = json.dumps(BUNDLE.dashboard).replace("\\n", "\n")
STEPS = "\n".join("\n".join(text.steps) for text in TEXTS.values())
README = (FOLDER / "README.md").read_text("utf-8")
TEXT = {
    "runbook": (DOCS / "runbook.md").read_text("utf-8"),
    "datadog": (DOCS / "datadog.md").read_text("utf-8"),
    "readme": README,
    "monitors": MESSAGES,
    "dashboard": DASHBOARD,
    "causes": STEPS,
}
FILES = {"manifest.json", "metadata.csv", "dashboard.json", "ledger.db", "datadoghq.com",
         "bad.reasons.csv"}  # fmt: skip
VALUES = {
    **CLOSED_TAGS,
    "endpoint": {*Step},
    "step": {*Step},
    "state": {"ready", "waiting", "in_flight", "in_doubt", "final"},
}
BY_METRIC = {
    ("halted", "reason"): {*HaltReason},
    ("halts", "reason"): {*HaltReason},
    ("halted.seconds", "reason"): {*HaltReason},
    ("contacts.settled", "status"): {*Status},
    ("contacts.settled", "reason"): {*Reason},
}
NAME = re.compile(r"`(?:dispatcher\.)?([a-z_]+(?:\.[a-z_]+)*)(?:\{([^}`]*)\})?`")
COMMAND = re.compile(
    r"^\$? *(dispatcher [^\n`#]*(?:\\\n[^\n`#]*)*)|`(dispatcher [^`]+)`", re.MULTILINE
)


@cache
def strings():
    """All texts in quotes of the code: events of the log, and names of their fields."""
    code = (file.read_text("utf-8") for file in (ROOT / "dispatcher").rglob("*.py"))
    return frozenset(re.findall(r"[\"']([a-z][a-z_.]+)[\"']", "".join(code)))


@pytest.mark.parametrize("name", TEXT)
def test_metrics_events_and_settings_exist(name):
    settings = {".".join(path) for path in known()}
    for found, tags in NAME.findall(TEXT[name]):
        if tags:
            assert found in METRICS, f"{found}{{{tags}}}"
        if "." in found and found not in METRICS and found not in FILES:
            assert found in settings or found in strings(), found


@pytest.mark.parametrize("name", TEXT)
def test_tags_and_their_values_exist(name):
    for found, tags in NAME.findall(TEXT[name]):
        own = {*METRICS.get(found, ()), *({"client"} if found in PER_CLIENT else ())}
        for pair in filter(None, tags.split(",")):
            tag, _, value = pair.partition(":")
            assert tag in {*own, *CONSTANT_TAGS}, f"{found}{{{tags}}}"
            values = BY_METRIC.get((found, tag), VALUES.get(tag))
            assert not value or values is None or value in values, f"{found}{{{tags}}}"


@pytest.mark.parametrize("name", TEXT)
def test_commands_exist_with_their_options(name):
    for block, inline in COMMAND.findall(TEXT[name]):
        words = (block or inline).replace("\\\n", " ").split()
        command, ctx = cli, click.Context(cli)
        if words[1:2] and not re.fullmatch(r"[a-z-]+", words[1]):
            continue  # a sentence
        for word in words[1:]:
            if isinstance(command, click.Group) and not word.startswith("-"):
                command = command.get_command(ctx, word)
                assert command is not None, " ".join(words)
        options = {option for param in command.params for option in param.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= {*options, "--help"}, " ".join(words)


def anchors(text):
    """The anchors of a document: its own, and those of its headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return {*re.findall(r'<a id="([^"]+)"', text), *kept}


@pytest.mark.parametrize(
    "file", [*sorted(DOCS.glob("*.md")), FOLDER / "README.md"],
    ids=lambda file: file.name,
)  # fmt: skip
def test_links_lead_somewhere(file):
    for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = file.parent / path if path else file
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text("utf-8")), link


def test_views_and_the_pipeline_name_fields_and_events_of_the_log():
    texts = [view["query"] for view in BUNDLE.saved_views.values()]
    events = {
        word
        for text in texts
        for group in re.findall(r"@event:(\([^)]*\)|\S+)", text)
        for word in re.findall(r"[a-z_]+(?:\.[a-z_]+)*", group.replace("OR", ""))
    }
    fields = {field for text in texts for field in re.findall(r"@([\w.]+):", text)}
    sources = {
        source
        for processor in BUNDLE.pipeline["pipeline"]["processors"]
        for source in processor.get("sources", ())
    }
    assert len(events) > 10
    assert {*events, *fields, *sources} <= strings()
