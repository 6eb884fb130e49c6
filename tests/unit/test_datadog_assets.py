"""The assets for Datadog: that they are right, and that mistakes in them are found."""

import copy
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dispatcher.cli.root import cli
from dispatcher.domain.condition import Cause
from dispatcher.domain.errors import ExitCode
from dispatcher.telemetry.datadog_assets.bundle import FOLDER, AssetsError, read_bundle
from dispatcher.telemetry.datadog_assets.dashboard_checks import (
    dashboard_findings,
    dashboard_queries,
)
from dispatcher.telemetry.datadog_assets.log_checks import pipeline_findings, pipeline_payload
from dispatcher.telemetry.datadog_assets.metadata_checks import (
    metadata_findings,
    percentile_findings,
)
from dispatcher.telemetry.datadog_assets.monitor_checks import WITHOUT_MONITOR, monitor_findings
from dispatcher.telemetry.datadog_assets.queries import parse_monitor_query
from dispatcher.telemetry.datadog_assets.validation import RUNBOOK, read_anchors, validate
from dispatcher.telemetry.datadog_assets.variables import NAMES, fill_variables

BUNDLE = read_bundle()
ANCHORS = read_anchors()
PAGES = {
    "credentials", "unauthorized", "scope_missing", "permission", "division", "forbidden",
    "platform_down", "suspicious", "ledger_away", "no_leader", "heartbeat", "crash_loop",
    "exit_bug", "exit_configuration", "exit_source", "exit_ledger", "exit_credentials",
    "exit_failures",
}  # fmt: skip
"""Monitors of faults in which nobody gets a message."""


def test_the_shipped_files_have_no_mistakes():
    """Models, metrics, tags, thresholds, causes, sections of the runbook: all of it."""
    result = CliRunner().invoke(cli, ["datadog", "validate"])
    assert result.exit_code == 0, result.output
    assert f"no mistakes in {len(BUNDLE.monitors)} monitors" in result.output


def new_monitor_mistakes(name, change):
    monitors = {name: copy.deepcopy(BUNDLE.monitors[name])}
    before = {*monitor_findings(monitors, ANCHORS)}
    change(monitors[name], monitors[name]["definition"])
    return [
        str(finding) for finding in monitor_findings(monitors, ANCHORS) if finding not in before
    ]


def new_dashboard_mistakes(change):
    """Return the mistakes in the first row of the dashboard after a change."""
    dashboard = {**BUNDLE.dashboard, "widgets": copy.deepcopy(BUNDLE.dashboard["widgets"][:1])}
    before = {*dashboard_findings(dashboard)}
    change([widget["definition"] for widget in dashboard["widgets"][0]["definition"]["widgets"]])
    return [str(finding) for finding in dashboard_findings(dashboard) if finding not in before]


def replace(old, new):
    """Return a change of a monitor's query and message."""

    def change(_monitor, definition):
        definition["query"] = definition["query"].replace(old, new)
        definition["message"] = definition["message"].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[4]["requests"][0].update(colour="red"), "requests[0].colour: the field"),
        (lambda rows: rows[4].update(type="time_series"), '"time_series" and title "Causes"'),
        (lambda rows: rows[0]["requests"][0]["queries"][0].update(aggregator="mean"), "no model"),
        (
            lambda rows: rows[4]["requests"][0]["queries"][0].update(
                query="p95:dispatcher.api.throttled{$env} by {cause}"
            ),
            '"dispatcher.api.throttled" has no tag "cause"',
        ),
    ],
)
def test_mistakes_in_a_dashboard(change, words):
    """An unknown key, a bad type, a bad aggregator, and a tag that is not sent."""
    assert any(words in mistake for mistake in new_dashboard_mistakes(change))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("heartbeat", lambda _m, d: d["options"].update(renotify=1), "options.renotify"),
        ("heartbeat", lambda _m, d: d.update(type="metrics alert"), '"metrics alert" is not'),
        ("heartbeat", lambda _m, d: d["options"].update(on_missing_data="page"), '"page" is not'),
        ("heartbeat", lambda _m, d: d.update(priority=9), "priority: it must be from 1 to 5"),
        ("heartbeat", lambda m, _d: m.update(version=1), "version: it must be 2"),
        ("heartbeat", lambda m, _d: m.pop("description"), "description: the field is missing"),
        ("exit_ledger", replace(".as_count()", ""), "without .as_count()"),
        ("exit_ledger", replace("code:4", "code:99"), 'the tag "code" has no value "99"'),
        ("exit_ledger", replace("sum:dispatcher", "median:dispatcher"), '"median" does not exist'),
        ("exit_ledger", replace(">= 1", ">= 2"), "thresholds.critical: it must be 2"),
        ("exit_ledger", replace("run.exits", "run.exit"), '"dispatcher.run.exit" is not in the'),
        ("scope_missing", replace("cause:scope_missing", "cause:scope"), "has no value"),
        ("scope_missing", replace("cause:scope_missing", "cause:ok"), "the query has"),
        ("scope_missing", replace("env,service,", ""), "grouped by env, service, too"),
        ("scope_missing", replace("{{/is_alert}}", ""), "is_recovery}} closes a block|not closed"),
        ("scope_missing", replace("#condition-scope_missing", "#x"), "must have the link"),
        ("scope_missing", replace("${notify}", ""), "it must have ${notify}"),
        ("scope_missing", replace("${notify}", "${x} ${notify}"), "${x} is not a variable"),
        ("scope_missing", replace("{{value}}", "{{host.name}}"), "is empty"),
        (
            "scope_missing",
            lambda _m, d: d["options"]["thresholds"].update(critical_recovery=1),
            "critical_recovery: it must be below 1",
        ),
    ],
)  # fmt: skip
def test_mistakes_in_a_monitor(name, change, words):
    """What Datadog would refuse, would never fire, or would send without what it should have."""
    found = new_monitor_mistakes(name, change)
    assert any(word in mistake for mistake in found for word in words.split("|")), found


def test_a_section_that_the_runbook_does_not_have():
    monitors = {"heartbeat": BUNDLE.monitors["heartbeat"]}
    found = [str(finding) for finding in monitor_findings(monitors, frozenset())]
    assert any('the runbook has no anchor "heartbeat"' in mistake for mistake in found)


def test_every_cause_has_a_monitor_or_a_reason_to_have_none():
    """And a section in the runbook; so has every other monitor."""
    assert {*Cause} - {*BUNDLE.monitors} == {*WITHOUT_MONITOR}
    assert {f"condition-{cause}" for cause in Cause} <= ANCHORS
    assert {*BUNDLE.monitors} - {*Cause} <= ANCHORS
    found = {str(finding) for finding in monitor_findings({}, ANCHORS)}
    assert 'monitors: the cause "retry_loop" has no monitor' in found


def test_monitors_have_the_words_and_the_urgency_of_the_condition():
    """Datadog, the log and the status call a cause the same; a monitor's title is short."""
    texts = pytest.importorskip("dispatcher.domain.condition_texts").TEXTS
    for name, monitor in BUNDLE.monitors.items():
        if name in {*Cause}:
            text = texts[Cause(name)]
            assert f"P{monitor['definition']['priority']}" == text.priority, name
            assert monitor["title"] == text.title or len(text.title) > 80, name


def test_the_runbook_has_the_causes_in_the_order_of_precedence():
    anchors = re.findall(r'<a id="condition-(\w+)"></a>', RUNBOOK.read_text("utf-8"))
    assert anchors == [*Cause]


def test_only_faults_in_which_nobody_is_written_to_page():
    """P1 is repeated twice an hour at least; the others not so often."""
    for name, monitor in BUNDLE.monitors.items():
        definition = monitor["definition"]
        assert (definition["priority"] == 1) == (name in PAGES), name
        if definition["priority"] == 1:
            assert 30 <= definition["options"]["renotify_interval"] <= 60


def test_exits_and_monitors_of_exits_belong_together():
    """A monitor for each code after which somebody has to act, and the code is the right one."""
    codes = {
        name: parse_monitor_query(monitor["definition"]["query"]).metrics[0].filters
        for name, monitor in BUNDLE.monitors.items()
        if name.startswith("exit_")
    }
    expected = {
        "exit_bug": ExitCode.BUG,
        "exit_configuration": ExitCode.USAGE,
        "exit_source": ExitCode.SOURCE,
        "exit_ledger": ExitCode.LEDGER,
        "exit_credentials": ExitCode.PLATFORM,
        "exit_failures": ExitCode.FAILURES,
    }
    assert codes == {name: (f"code:{code.value}",) for name, code in expected.items()}


def test_no_query_mixes_the_three_failures():
    """A graph or monitor shows one of the three failures, never a sum of them."""
    queries = [monitor["definition"]["query"] for monitor in BUNDLE.monitors.values()]
    widgets = {}
    for title, query in dashboard_queries(BUNDLE.dashboard):
        widgets.setdefault(title, []).append(query.metric)
    for text in (*queries, *(" ".join(metrics) for metrics in widgets.values())):
        named = [m for m in ("scope_errors", "closed_session", "retry_loops") if m in text]
        assert len(named) <= 1


def test_the_dashboard_begins_with_what_is_wrong_now():
    rows = [row["definition"] for row in BUNDLE.dashboard["widgets"]]
    assert rows[0]["title"] == "What is wrong now"
    first = {query.metric for _, query in dashboard_queries(rows[0])}
    assert {"dispatcher.condition", "dispatcher.halted", "dispatcher.heartbeat"} <= first
    assert [widget["definition"]["title"] for widget in rows[1]["widgets"][:3]] == [
        "Scope errors",
        "Closed-session conflicts",
        "Retry loops",
    ]
    names = [variable["name"] for variable in BUNDLE.dashboard["template_variables"]]
    assert names == ["env", "service", "campaign", "client"]


def test_mistakes_in_metadata_and_percentiles():
    rows = copy.deepcopy(list(BUNDLE.metadata))
    latency = next(row for row in rows if row["metric_name"] == "dispatcher.api.latency")
    latency.update(metric_type="count", orientation="up", description="")
    del rows[-1]
    found = " ".join(map(str, metadata_findings([*rows, rows[0]])))
    assert "must be gauge" in found
    assert "orientation" in found
    assert "from 1 to 400 characters" in found
    assert 'the metric "dispatcher.unchecked_sends" is missing' in found
    assert "sorted by metric_name" in found
    wrong = {"dispatcher.api.latency": BUNDLE.percentiles["dispatcher.state.age"]}
    found = " ".join(map(str, percentile_findings(wrong)))
    assert 'it must be "dispatcher.api.latency"' in found
    assert 'the distribution "dispatcher.state.age" is missing' in found


def test_mistakes_in_the_log_pipeline():
    pipeline = copy.deepcopy(BUNDLE.pipeline)
    assert list(pipeline_findings(pipeline)) == []
    pipeline["pipeline"]["processors"][0]["type"] = "time-remapper"
    (found,) = pipeline_findings(pipeline)
    assert "time-remapper" in str(found)
    payload = pipeline_payload(BUNDLE.pipeline)
    assert payload["is_enabled"] is True
    assert payload["processors"][4]["override_on_conflict"] is False


def test_a_folder_with_several_mistakes(tmp_path):
    """The command names each file and each mistake, and ends with 2."""
    folder = tmp_path / "assets"
    shutil.copytree(FOLDER, folder)
    file = folder / "monitors" / "heartbeat.json"
    file.write_text(file.read_text().replace("on_missing_data", "on_no_data"))
    (folder / "monitors" / "retry_loop.json").unlink()
    result = CliRunner().invoke(cli, ["datadog", "validate", str(folder)])
    assert result.exit_code == 2
    assert "monitors/heartbeat.json: definition.options.on_no_data: the field" in result.output
    assert 'the cause "retry_loop" has no monitor' in result.output


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("dashboard.json", "{\n,", "line 2: not JSON"),
        ("assets/logs/dispatcher.yaml", "a: [1\nb: 2", "dispatcher.yaml, line 2: not YAML"),
        ("metadata.csv", "name,type\n", "the columns must be metric_name"),
        ("dashboard.json", None, "cannot be read"),
        ("monitors", None, "has no folder monitors"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, file, content, words):
    folder = tmp_path / "assets"
    shutil.copytree(FOLDER, folder)
    path = folder / file
    if content is not None:
        path.write_text(content)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(AssetsError, match=re.escape(words)):
        read_bundle(folder)


@pytest.mark.parametrize("value", [None, [], {}, "x", 7])
def test_any_json_in_the_place_of_an_asset_is_a_mistake_and_no_crash(value):
    heartbeat = BUNDLE.monitors["heartbeat"]
    for monitor in (
        value,
        {**heartbeat, "definition": {**heartbeat["definition"], "query": value}},
    ):
        assert list(monitor_findings({"heartbeat": monitor}, ANCHORS))
    groups = [{"definition": {"type": "group", "layout_type": "ordered", "widgets": [value]}}]
    for dashboard in (
        value,
        {**BUNDLE.dashboard, "widgets": groups, "template_variables": [value]},
    ):
        assert list(dashboard_findings(dashboard))
    assert list(percentile_findings({"dispatcher.api.latency": value}))
    assert list(pipeline_findings(value))


def test_the_manifest_names_every_file():
    assets = json.loads((FOLDER / "manifest.json").read_text())["assets"]
    titles = {monitor["title"]: f"monitors/{n}.json" for n, monitor in BUNDLE.monitors.items()}
    assert assets["monitors"] == titles
    views = {view["name"]: f"assets/saved_views/{n}.json" for n, view in BUNDLE.saved_views.items()}
    assert assets["saved_views"] == views
    named = [
        *assets["dashboards"].values(),
        assets["integration"]["metrics"]["metadata_path"],
        assets["integration"]["service_checks"]["metadata_path"],
    ]
    assert all((FOLDER / path).is_file() for path in named)


def test_terraform_fills_all_variables():
    """templatefile() fails for a variable that it does not get."""
    main = (FOLDER / "terraform" / "main.tf").read_text()
    assert all(re.search(rf"^ +{name} += ", main, re.MULTILINE) for name in NAMES)
    for path in (*(FOLDER / "monitors").glob("*.json"), FOLDER / "dashboard.json"):
        assert "%{" not in path.read_text()
        assert json.loads(fill_variables(path.read_text(), dict.fromkeys(NAMES, "x")))


def test_terraform_fills_texts_escaped_into_the_json():
    """A quote in the handles would end the text; the list of tags stays the operator's."""
    main = (FOLDER / "terraform" / "main.tf").read_text()
    filled = re.findall(r"^ {4}(notify|runbook_url|service) += (\S+)$", main, re.MULTILINE)
    assert len(filled) == 4
    for name, value in filled:
        assert value == f"local.{name}_text"
        assert f"{name}_text" in main.split("resource")[0]
    assert "ignore_changes = [tags, exclude_tags_mode]" in main


def test_the_files_in_config_are_the_installed_ones():
    config = Path(__file__).parents[2] / "config" / "datadog"
    assert config.resolve() == FOLDER.resolve()
    assert [file for file in FOLDER.rglob("*") if file.is_symlink()] == []


def test_validate_finds_mistakes_of_all_kinds_of_files():
    """Each check is part of the whole; a bundle of empty files has mistakes of each kind."""
    empty = type(BUNDLE)(
        folder=FOLDER,
        monitors={"x": {}},
        dashboard=[],
        metadata=[],
        percentiles={"x": []},
        pipeline=None,
        service_checks=None,
        saved_views={"x": None},
    )
    files = {finding.file.split("/")[0] for finding in validate(empty)}
    assert files == {"monitors", "dashboard.json", "metadata.csv", "percentiles", "assets"}
