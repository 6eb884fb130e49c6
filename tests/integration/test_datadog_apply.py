"""``dispatcher datadog apply`` against a local stand-in of Datadog's API."""

import asyncio
import json
import shutil

import pytest
from click.testing import CliRunner

from dispatcher.cli.commands import datadog as command
from dispatcher.cli.root import cli
from dispatcher.telemetry.datadog_assets import api as api_module
from dispatcher.telemetry.datadog_assets.bundle import FOLDER, read_bundle
from dispatcher.telemetry.metrics.catalog import METRICS
from tests.support.datadog_api import KEYS, datadog_stand_in

MONITORS = len(read_bundle().monitors)
ALL = {f"dispatcher.{name}" for name in METRICS}


@pytest.fixture
async def datadog(monkeypatch, request):
    """The files are checked in one test only, because that takes a second."""
    if "mistake_is_not_applied" not in request.node.name:
        monkeypatch.setattr(command, "find_mistakes", lambda *_args: [])
    monkeypatch.setattr(api_module.time, "sleep", lambda _seconds: None)
    async with datadog_stand_in() as stand_in:
        yield stand_in


async def apply(datadog, *options, env=KEYS):
    arguments = ["datadog", "apply", *options, "--api-url", datadog.url]
    return await asyncio.to_thread(CliRunner(env=env).invoke, cli, arguments)


async def test_a_first_run_creates_everything_and_a_second_changes_nothing(datadog):
    """Assets are found again by their marks; metrics that Datadog does not know have to wait."""
    datadog.known_metrics = ALL
    first = await apply(datadog, "--yes", "--notify", "@slack-ops")
    assert first.exit_code == 0, first.output
    assert (len(datadog.monitors), len(datadog.dashboards)) == (MONITORS, 1)
    assert set(datadog.metadata) == ALL
    assert len(datadog.pipelines) == 1
    dashboard = next(iter(datadog.dashboards.values()))
    for monitor in datadog.monitors.values():
        assert monitor["message"].endswith("@slack-ops")
        assert f"https://app.datadoghq.com{dashboard['url']}?tpl_var_env=" in monitor["message"]
        assert "${" not in json.dumps(monitor)

    datadog.writes.clear()
    second = await apply(datadog, "--yes", "--notify", "@slack-ops")
    assert (second.exit_code, datadog.writes) == (0, []), second.output
    assert "to create" not in second.output
    assert "to update" not in second.output


async def test_only_what_differs_is_updated(datadog):
    """Somebody changed a threshold: one request puts it back, and the plan says what differs."""
    await apply(datadog, "--yes", "--only", "monitors")
    changed = next(m for m in datadog.monitors.values() if "scope_missing" in m["query"])
    changed["options"]["thresholds"]["critical"] = 2
    datadog.writes.clear()
    result = await apply(datadog, "--yes", "--only", "monitors")
    assert datadog.writes == [("PUT", f"/api/v1/monitor/{changed['id']}")]
    assert "update monitor scope_missing (options.thresholds.critical)" in result.output
    assert f"{MONITORS - 1} to keep" in result.output


async def test_a_dry_run_and_a_run_without_yes_change_nothing(datadog):
    """A plan is shown; outside of a terminal nobody can be asked."""
    dry = await apply(datadog, "--dry-run")
    assert dry.exit_code == 0
    assert "create monitor scope_missing" in dry.output
    unasked = await apply(datadog)
    assert unasked.exit_code == 2
    assert "--yes" in unasked.output
    assert datadog.writes == []


async def test_metrics_that_datadog_does_not_know_wait(datadog):
    """Before the first run of a dispatcher there is nothing to describe; that is no error."""
    result = await apply(datadog, "--yes", "--only", "metadata", "--only", "percentiles")
    assert result.exit_code == 0
    assert f"{len(METRICS) + 4} to wait" in result.output
    assert datadog.writes == []


async def test_a_set_of_an_environment_leaves_the_others_alone(datadog):
    """Each set has its filters in every query, and its own monitors and dashboard."""
    await apply(datadog, "--yes", "--only", "monitors")
    await apply(datadog, "--yes", "--env", "staging", "--service", "outreach")
    assert len(datadog.monitors) == 2 * MONITORS
    queries = [monitor["query"] for monitor in datadog.monitors.values()]
    assert sum("env:staging,service:outreach}" in query for query in queries) == MONITORS
    dashboard = next(iter(datadog.dashboards.values()))
    assert dashboard["template_variables"][0]["defaults"] == ["staging"]


async def test_a_filter_that_is_no_value_of_a_tag(datadog):
    """It would end the filter of a query, or never match what Datadog has stored."""
    for value in ("live}", "a,b", "Production"):
        result = await apply(datadog, "--yes", "--env", value)
        assert result.exit_code == 2
        assert "lower-case letters" in result.output


@pytest.mark.parametrize(
    ("env", "code", "words"),
    [
        ({**KEYS, "DD_APP_KEY": "a-wrong-secret"}, 5, ["403", "monitors_write", "DD_SITE"]),
        ({**KEYS, "DD_APP_KEY": ""}, 2, ["DD_APP_KEY must be set"]),
        ({**KEYS, "DD_APP_KEY": "a-wrong-secret\nx"}, 2, ["DD_APP_KEY", "copy it again"]),
        ({**KEYS, "DD_APP_KEY": "a-wrong-secret\u0141"}, 2, ["DD_APP_KEY", "copy it again"]),
        ({**KEYS, "DD_PROXY_HTTPS": "u:a-wrong-secret@p:1"}, 2, ["DD_PROXY_HTTPS", "https://HOST"]),
        ({**KEYS, "DD_SITE": "https://app.datadoghq.eu"}, 2, ["DD_SITE", "datadoghq.eu"]),
    ],
)
async def test_keys_that_are_refused_or_missing(datadog, env, code, words):
    """The message names the variables and the permissions, and never a key."""
    result = await apply(datadog, "--yes", env=env)
    assert result.exit_code == code
    assert all(word in result.output for word in words)
    assert "a-wrong-secret" not in result.output
    assert KEYS["DD_API_KEY"] not in result.output


async def test_limits_and_faults_of_the_server_are_waited_for(datadog):
    """429 waits as long as it says, for a POST too; 5xx is repeated only where that is safe."""
    datadog.refusals = [
        ("GET", 429, {"Retry-After": "7"}),
        ("GET", 503, {}),
        ("POST", 429, {"X-RateLimit-Reset": "3"}),
    ]
    result = await apply(datadog, "--yes", "--only", "monitors")
    assert result.exit_code == 0
    assert "next attempt in 7 s" in result.output
    assert "next attempt in 3 s" in result.output
    assert len(datadog.monitors) == MONITORS


async def test_a_fault_at_a_post_is_not_repeated_and_the_next_run_continues(datadog):
    """A monitor that may have been created is looked for before it is created again."""
    datadog.refusals = [("POST", 502, {})]
    result = await apply(datadog, "--yes", "--only", "monitors")
    assert result.exit_code == 5
    assert "run the command again" in result.output
    assert len(datadog.monitors) == MONITORS - 1
    again = await apply(datadog, "--yes", "--only", "monitors")
    assert (again.exit_code, len(datadog.monitors)) == (0, MONITORS)


async def test_a_limit_that_is_too_long_ends_the_run(datadog):
    """Nobody waits for an hour at a terminal."""
    datadog.refusals = [("GET", 429, {"Retry-After": "3600"})]
    result = await apply(datadog, "--yes", "--only", "monitors")
    assert result.exit_code == 5
    assert "429" in result.output


async def test_two_monitors_with_the_same_mark_are_a_mistake(datadog):
    """None of them is changed; the message has both ids."""
    await apply(datadog, "--yes", "--only", "monitors")
    first = next(iter(datadog.monitors.values()))
    datadog.monitors["77"] = {**first, "id": "77"}
    datadog.writes.clear()
    result = await apply(datadog, "--yes", "--only", "monitors")
    assert (result.exit_code, datadog.writes) == (5, [])
    assert f"{first['id']}, 77" in result.output


async def test_a_log_pipeline_that_somebody_else_made_is_not_changed(datadog):
    """The name alone does not show whose it is; the message says how to go on."""
    datadog.pipelines["9"] = {"id": "9", "name": "Dispatcher", "processors": []}
    result = await apply(datadog, "--yes", "--only", "pipeline")
    assert (result.exit_code, datadog.writes) == (5, [])
    assert all(word in result.output for word in ("id 9", "managed_by:dispatcher", "--only"))
    datadog.pipelines["9"]["tags"] = ["managed_by:dispatcher"]
    result = await apply(datadog, "--yes", "--only", "pipeline")
    assert (result.exit_code, len(datadog.pipelines)) == (0, 1)


async def test_monitors_without_a_file_are_named_and_kept(datadog, tmp_path):
    """Nothing is deleted in somebody's account."""
    await apply(datadog, "--yes", "--only", "monitors")
    orphan = next(m for m in datadog.monitors.values() if "scope_missing" in m["query"])
    orphan["tags"] = [tag.replace("scope_missing", "old_name") for tag in orphan["tags"]]
    result = await apply(datadog, "--yes", "--only", "monitors")
    assert f"(id {orphan['id']})" in result.output
    assert orphan["id"] in datadog.monitors


async def test_a_folder_with_a_mistake_is_not_applied(datadog, tmp_path):
    """What Datadog would refuse or never fire is found before the first request."""
    folder = tmp_path / "assets"
    shutil.copytree(FOLDER, folder)
    file = folder / "monitors" / "heartbeat.json"
    file.write_text(file.read_text().replace("dispatcher.heartbeat", "dispatcher.heart"))
    result = await apply(datadog, str(folder), "--yes")
    assert (result.exit_code, datadog.writes) == (2, [])
    assert "monitors/heartbeat.json" in result.output
