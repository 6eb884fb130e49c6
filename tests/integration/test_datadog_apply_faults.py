"""``dispatcher datadog apply`` where Datadog answers badly, and where an operator set something."""

import asyncio

import pytest
from click.testing import CliRunner

from dispatcher.cli.commands import datadog as command
from dispatcher.cli.root import cli
from dispatcher.telemetry.datadog_assets import api as api_module
from dispatcher.telemetry.datadog_assets.bundle import read_bundle
from dispatcher.telemetry.metrics.catalog import METRICS
from tests.support.datadog_api import KEYS, datadog_stand_in

MONITORS = len(read_bundle().monitors)
HTML = "<html>Sign in to the proxy</html>"
LATENCY = "dispatcher.api.latency"


@pytest.fixture
async def datadog(monkeypatch):
    monkeypatch.setattr(command, "find_mistakes", lambda *_args: [])
    monkeypatch.setattr(api_module.time, "sleep", lambda _seconds: None)
    async with datadog_stand_in() as stand_in:
        yield stand_in


async def apply(datadog, *options):
    arguments = ["datadog", "apply", "--yes", *options, "--api-url", datadog.url]
    result = await asyncio.to_thread(CliRunner(env=KEYS).invoke, cli, arguments)
    assert "Traceback" not in result.output
    return result


def error_lines(result):
    return [line for line in result.output.splitlines() if line.startswith("dispatcher: ")]


ANSWERS = [
    (200, HTML, "does not answer GET /api/v1/"),
    (200, "", "does not answer GET /api/v1/"),
    (200, "null", "does not answer GET /api/v1/"),
    (200, '["a"]', "does not answer GET /api/v1/"),
    (200, '"text"', "does not answer GET /api/v1/"),
    (403, HTML, "with 403"),
    (404, HTML, "with 404"),
    (429, HTML, "with 429"),
    (500, HTML, "with 500"),
    (200, None, "does not answer (ReadTimeoutError)"),
]
REMEDIES = {403: "monitors_write", 404: "--api-url", 429: "run the command again"}


@pytest.fixture
def impatient(request, monkeypatch):
    """Wait a moment only for an answer that does not come; all others have the usual time."""
    if request.node.callspec.params["text"] is None:
        monkeypatch.setattr(api_module, "_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["dashboard", "pipeline"])
@pytest.mark.parametrize(("status", "text", "words"), ANSWERS)
async def test_an_answer_that_is_not_datadogs(datadog, kind, status, text, words):
    """One line says what was asked, what came, and what to do; nothing is changed."""
    datadog.texts = [("GET", status, text)] * api_module.ATTEMPTS
    result = await apply(datadog, "--only", kind)
    assert (result.exit_code, datadog.writes) == (5, [])
    (line,) = error_lines(result)
    assert words in line
    assert REMEDIES.get(status, "run the command again") in line
    assert "html" not in line


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "text", "words"),
    [answer for answer in ANSWERS if answer[1] in {HTML, None}],
)
async def test_what_was_applied_before_a_fault_is_said(datadog, monkeypatch, status, text, words):
    """Three monitors exist then: the numbers say so, and the next run makes the others."""
    datadog.texts, datadog.texts_after = [("POST", status, text)] * api_module.ATTEMPTS, 3
    result = await apply(datadog, "--only", "monitors")
    assert result.exit_code == 5
    assert words.replace("GET", "POST") in result.output
    made = len(datadog.monitors)
    assert f"{made} created, 0 updated, {MONITORS - made} of the plan not done." in result.output
    datadog.texts = []
    monkeypatch.setattr(api_module, "_SECONDS", 30.0)
    again = await apply(datadog, "--only", "monitors")
    assert (again.exit_code, len(datadog.monitors)) == (0, MONITORS)


async def test_an_operators_list_of_tags_of_a_metric_stays(datadog):
    """The file owns the percentiles: "Metrics without Limits" is the operator's."""
    datadog.known_metrics = {f"dispatcher.{name}" for name in METRICS}
    await apply(datadog, "--only", "percentiles")
    own = datadog.tags[LATENCY]["data"]["attributes"]
    assert own["include_percentiles"]
    assert "campaign" in own["tags"]
    limited = {"tags": ["campaign"], "exclude_tags_mode": True, "metric_type": "distribution"}
    for percentiles in (True, False):
        attributes = {**limited, "include_percentiles": percentiles}
        datadog.tags[LATENCY]["data"]["attributes"] = attributes
        datadog.writes.clear()
        result = await apply(datadog, "--only", "percentiles")
        assert result.exit_code == 0
        assert len(datadog.writes) == (not percentiles)
        kept = {**datadog.tags[LATENCY]["data"]["attributes"], "metric_type": "distribution"}
        assert kept == {**limited, "include_percentiles": True}


async def test_what_people_added_to_a_dashboard_and_a_monitor_stays(datadog):
    """An update of what a file owns keeps saved views, and tags with other names."""
    await apply(datadog, "--only", "dashboard", "--only", "monitors")
    (dashboard,) = datadog.dashboards.values()
    monitor = next(iter(datadog.monitors.values()))
    dashboard["template_variable_presets"] = presets = [{"name": "live"}]
    monitor["tags"].append("team:outreach")
    datadog.writes.clear()
    result = await apply(datadog, "--only", "monitors")
    assert f"Plan: {MONITORS} to keep." in result.output
    dashboard["title"], monitor["name"] = "x", "y"
    await apply(datadog, "--only", "dashboard", "--only", "monitors")
    assert sorted(method for method, _ in datadog.writes) == ["PUT", "PUT"]
    assert datadog.dashboards[dashboard["id"]]["template_variable_presets"] == presets
    tags = datadog.monitors[monitor["id"]]["tags"]
    assert tags.count("team:outreach") == tags.count("managed_by:dispatcher") == 1


async def test_a_dashboard_whose_address_has_a_query_is_linked(datadog):
    await apply(
        datadog,
        *("--only", "monitors", "--dashboard-url", "https://d.example/x?theme=dark#top"),
        *("--runbook-url", "https://w.example/?page=7#start"),
    )
    for monitor in datadog.monitors.values():
        assert "https://d.example/x?theme=dark&tpl_var_env=" in monitor["message"]
        assert monitor["message"].count("#top\n") == 1
        assert "https://w.example/?page=7#" in monitor["message"]
        assert "#start" not in monitor["message"]


async def test_monitors_that_link_a_new_dashboard_are_no_part_of_the_plan(datadog):
    """They were right, and are updated after it: nothing of the plan is left."""
    await apply(datadog, "--only", "monitors")
    result = await apply(datadog)
    assert result.exit_code == 0, result.output
    assert f"{MONITORS} updated." in result.output
    assert "not done" not in result.output
