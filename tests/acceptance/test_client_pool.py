"""Two OAuth clients against the sandbox, one of which loses its scope in mid-run."""

import json
import signal

import pytest

from tests.support import forked_process
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_nobody_twice_nobody_missing,
    play,
)
from tests.support.two_clients import NORTH, SECOND_ID, SOUTH, use_two_clients

WRITE = "conversations:messaging:write"
READ = "conversations:messaging:read"
ON_THE_WIRE = 64
"""Workers, each of which may have a request on its way when the scope goes."""


@pytest.fixture
def dialect():
    """Which dialect is played, unless a test says otherwise."""
    return "messaging"


@pytest.fixture
def played(tmp_path, dialect):
    """Two clients with 300 requests in 2 seconds each."""
    settings = {"platform.requests_per_minute": 9000, "control.socket": str(tmp_path / "orders")}
    with play(tmp_path, "two-clients", 600, settings, dialect=dialect) as playing:
        yield use_two_clients(playing)


def accepted(played):
    """How many requests of each client the sandbox has taken."""
    counts = played.sandbox.counts()
    windows = {NORTH: counts["windows"], SOUTH: counts["clients"][SECOND_ID]["windows"]}
    return {name: sum(each["accepted"] for each in own) for name, own in windows.items()}


def halted(played, client, reason="scope"):
    return played.metrics.gauge("dispatcher.halted", f"reason:{reason}", f"client:{client}")


def status(played):
    """What ``dispatcher status`` tells of the run."""
    command = ["-m", "dispatcher", "status", "--ledger", str(played.ledger), "--json"]
    told = forked_process.run(command, forked_process.clean_environment())
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)["run"]


@pytest.mark.parametrize("dialect", [pytest.param("messaging", marks=pytest.mark.long), "genesys"])
def test_one_client_loses_its_scope_and_the_other_goes_on(played):
    """The counters say which by its alias; once it is restored both finish the campaign."""
    process = played.start("--once")
    played.sandbox.wait_for_effects(80)
    played.sandbox.post("scopes", granted=[READ], client=SECOND_ID)
    played.metrics.wait_for(lambda _: halted(played, SOUTH) == 1)
    before = accepted(played)
    played.sandbox.wait_for_effects(played.sandbox.counts()["effects"] + 80)
    during = accepted(played)
    told = status(played)
    played.sandbox.post("scopes", granted=[READ, WRITE], client=SECOND_ID)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert_nobody_twice_nobody_missing(played)
    assert_each_ends_as_the_table_says(played)
    assert during[NORTH] - before[NORTH] >= 50
    assert during[SOUTH] - before[SOUTH] <= ON_THE_WIRE
    assert played.sandbox.counts()["clients"][SECOND_ID]["scopeless"] <= 2 * ON_THE_WIRE
    assert accepted(played)[SOUTH] - during[SOUTH] >= 50
    assert list(told["clients"][SOUTH]["halted_since"]) == ["scope"]
    assert told["clients"][NORTH]["halted_since"] == {}
    assert told["halted_since"] == {}
    assert "This run, by client" in out
    assert_counters_name_the_client(played)


def assert_counters_name_the_client(played):
    """What was received by UDP, and what the log says, is of the one client alone."""
    metrics = played.metrics
    metrics.settle()
    scopes = metrics.series("dispatcher.scope_errors", "client", "source")
    assert scopes[SOUTH, "forbidden"] >= 1
    assert sum(number for (client, _), number in scopes.items() if client != SOUTH) == 0
    assert halted(played, SOUTH) == halted(played, NORTH) == 0
    ever = {
        (tag, metric.value)
        for metric in metrics.metrics
        if metric.name == "dispatcher.halted" and metric.value
        for tag in metric.tags
        if tag.startswith("client:")
    }
    assert ever == {(f"client:{SOUTH}", 1.0)}
    requests = metrics.series("dispatcher.api.requests", "client")
    assert set(requests) == {(NORTH,), (SOUTH,)}
    assert min(requests.values()) >= 100
    for name in ("dispatcher.pace", "dispatcher.quota.used"):
        assert all(metrics.gauge(name, f"client:{each}") is not None for each in (NORTH, SOUTH))
    lines = [json.loads(line) for line in played.log.read_text().splitlines()]
    events = {(line["event"], line["client"]) for line in lines if line["event"].startswith("cli")}
    assert {("client.halted", SOUTH), ("client.resumed", SOUTH)} <= events
    assert {client for _, client in events} == {SOUTH}


def test_a_client_without_its_scope_at_the_start_leaves_the_work_to_the_other(played):
    """The run is not halted, and ends as done."""
    played.sandbox.post("scopes", granted=[READ], client=SECOND_ID)
    ended = played.run("--limit", "100", seconds=30)
    assert ended.returncode == 0, ended.stderr
    assert accepted(played)[SOUTH] <= 2
    assert len(played.sandbox.effects()) == 100


def test_a_run_whose_clients_are_all_halted_ends_as_halted(played):
    """Exit code 11, as for one client."""
    for client in (None, SECOND_ID):
        named = {"client": client} if client else {}
        played.sandbox.post("scopes", granted=[READ], **named)
    played.settings["engine.wait_limit_seconds"] = 1
    ended = played.run(seconds=30)
    assert ended.returncode == 11, ended.stderr
    assert not played.sandbox.effects()


def test_check_online_looks_at_each_client(played):
    """What is missing is told with the alias, and is a finding of its own."""
    played.sandbox.post("scopes", granted=[READ], client=SECOND_ID)
    command = ["-m", "dispatcher", "check", "--online"]
    command += ["--config", str(played.config), "--platform-url", played.sandbox.url]
    command += ["--source", str(played.contacts), "--campaign", "play"]
    command += ["--ledger", str(played.ledger), "--set", "message.text=Hello"]
    checked = forked_process.run(
        command, {**forked_process.clean_environment(), **played.environment}
    )
    told = checked.stdout + checked.stderr
    assert checked.returncode == 5, told
    (problem,) = [line for line in told.splitlines() if line.startswith("FAIL")]
    assert f"client {SOUTH}: scopes: missing: {WRITE}" in problem
    assert f"client {NORTH}: state check" in told


def test_credentials_of_one_client_that_are_refused_halt_it_alone(played):
    """The start does not fail for it; with no client left it does, and names no secret."""
    wrong = {"DISPATCHER_CLIENT_SECRET__SOUTH": "mistyped-secret"}
    played.environment = {**played.environment, **wrong}
    process = played.start()
    played.metrics.wait_for(lambda _: halted(played, SOUTH, "credentials") == 1, 15)
    played.sandbox.wait_for_effects(20)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    wrong["DISPATCHER_CLIENT_SECRET__NORTH"] = "mistyped-secret"
    played.environment = {**played.environment, **wrong}
    ended = played.run(seconds=30)
    assert ended.returncode == 5, ended.stderr
    assert "mistyped-secret" not in ended.stderr + ended.stdout + played.log.read_text()
