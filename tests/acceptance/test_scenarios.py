"""One scenario each for what can go wrong, played through the installed command."""

import json
import time
from datetime import UTC, datetime
from itertools import pairwise, takewhile

import pytest

from tests.support.dialects import FREE, about_contacts
from tests.support.sandbox_process import DEMO_SCENARIO
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_metrics_match,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

READ = ["conversations:messaging:read", "messaging:conversation:read"]
WRITE = ["conversations:messaging:write", "messaging:conversation:write"]

ON_THE_WIRE = 64
"""Requests that an outage may catch on their way: one a worker. It lasts for thousands."""
PROBE_GAP = 0.45
"""Seconds; a little less than the interval of probes in these runs."""
SLOWLY = {"platform.requests_per_minute": 6_000}
"""Few contacts at this pace take as long as thousands at the platform's."""


def assert_all_agree(played):
    """Log, ledger and metrics tell one story."""
    assert_nobody_twice_nobody_missing(played)
    assert_right_call_for_each(played)
    assert_metrics_match(played)


@pytest.mark.parametrize(
    ("dialect", "scenario", "count"),
    [
        pytest.param("messaging", DEMO_SCENARIO, 280, id="messaging-demo"),
        pytest.param("genesys", DEMO_SCENARIO, 280, id="genesys-demo"),
        ("messaging", "closing-30", 120),
        ("genesys", "closed-20", 120),
        ("messaging", "channel", 80),
        ("genesys", "channel", 80),
        ("messaging", "unknown", 80),
        ("messaging", "redirect", 80),
        ("messaging", "loop", 80),
        ("genesys", "forbidden", 200),
    ],
    indirect=["dialect"],
)
def test_every_contact_ends_as_the_table_says(tmp_path, dialect, scenario, count):
    """Each kind of conversation, in mixtures, ends with its status and reason."""
    with play(tmp_path, scenario, count, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)


def test_a_loop_costs_a_bounded_number_of_calls(tmp_path, dialect):
    """A platform that refuses some contacts for ever gets at most three sends of a step each."""
    with play(tmp_path, "loop", 100, dialect=dialect) as played:
        assert played.run().returncode == 0
        loops = [who for who, end in played.settled().items() if end == ("parked", "retry_loop")]
        requests = [json.loads(line) for line in played.log.read_text().splitlines()]
        for who in loops:
            steps = [
                line["step"]
                for line in requests
                if line["event"] in ("request.answered", "request.failed")
                and line["contact_key"] == who
            ]
            assert steps.count("notify") <= 3
            assert steps.count("open") <= 3
            assert len(steps) <= 12
        assert loops


def test_a_scope_that_is_missing_from_the_start_halts_and_resumes_by_itself(tmp_path, dialect):
    """Nothing is sent in vain; once the scope is granted the run finishes."""
    with play(tmp_path, "scope-missing", 150, dialect=dialect) as played:
        process = played.start("--once")
        played.sandbox.wait_for_answers("token", 1)
        time.sleep(3)
        counts = played.sandbox.counts()
        probes = counts["answers"].get("token", {}).get("200", 0)
        assert not about_contacts(counts["answers"]), "a request in vain"
        assert 2 <= probes <= 10, "one probe each half second, whatever the number of workers"
        assert played.metrics.gauge("dispatcher.halted", "reason:scope") == 1
        played.sandbox.post("scopes", granted=READ + WRITE)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)
        assert played.metrics.gauge("dispatcher.halted", "reason:scope") == 0


@pytest.mark.parametrize(
    ("dialect", "scenario"),
    [("genesys", "scope-revoked-403"), ("messaging", "scope-masked-409")],
    indirect=["dialect"],
)
def test_a_scope_that_is_revoked_in_mid_run_halts_and_resumes_by_itself(
    tmp_path, dialect, scenario
):
    """Shown as 403 or masked as 409: the run halts, probes, and finishes once it is restored."""
    with play(tmp_path, scenario, 500, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)
        scopes = played.metrics.series("dispatcher.scope_errors", "source")
        source = "masked_conflict" if scenario.endswith("409") else "forbidden"
        assert scopes[source,] >= 1
        assert played.metrics.total("dispatcher.closed_session_conflicts") == 0
        assert played.metrics.total("dispatcher.retry_loops") == 0
        _assert_probes_are_rare(played)


def _assert_probes_are_rare(played):
    """After what was on the wire, at most one API request reaches the platform an interval."""
    times = [
        moment["monotonic"]
        for moment in played.sandbox.counts()["api_request_times"]
        if moment["endpoint"] not in FREE
    ]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    at_once = list(takewhile(lambda gap: gap < PROBE_GAP, gaps))
    assert len(at_once) < 2 * ON_THE_WIRE
    probed = gaps[len(at_once) :]
    assert all(gap >= PROBE_GAP for gap in probed), probed
    assert len(probed) <= 13


@pytest.mark.parametrize("dialect", ["genesys"], indirect=True)
def test_a_platform_that_is_down_costs_no_attempt(tmp_path, dialect):
    """Ten seconds without a platform cost no attempt, and the run finishes by itself.

    Only what is on the wire in the moment in which the platform goes away may be reset: a check
    is tried again, a send is in doubt, and sent again once its loss is proved.
    """
    settings = {
        **SLOWLY,
        "engine.probe_seconds": 2,
        "platform.timeout_seconds": 2,
        "reconcile.max_effect_delay_seconds": 0.5,
        "reconcile.max_lag_seconds": 0.5,
        "reconcile.clock_skew_seconds": 1,
        "reconcile.look_seconds": 0.2,
    }
    with play(tmp_path, "down-10s", 450, settings, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_nobody_twice_nobody_missing(played)
        assert_metrics_match(played)
        ends = played.status_counts()
        retried = played.metrics.series("dispatcher.retries", "reason")
        doubts = played.metrics.total("dispatcher.in_doubt")
        assert retried["no_answer",] + doubts <= ON_THE_WIRE
        assert set(ends) == {("notified", "delivered"), ("opened", "delivered")}
        spent = {reason for (reason,), number in retried.items() if number}
        assert spent - {"not_sent", "no_answer", "not_found"} == set(), "an attempt was spent"
        assert played.metrics.gauge("dispatcher.halted", "reason:platform_down") == 0
        halts = [line for line in played.log.read_text().splitlines() if '"run.halted"' in line]
        assert any("platform_down" in line for line in halts)


@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_tokens_that_live_three_seconds_are_renewed(tmp_path, dialect):
    """They claim an hour; a 401 renews them once for all workers, and is no scope error."""
    with play(tmp_path, "token-3s", 300, SLOWLY, dialect=dialect) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert_each_ends_as_the_table_says(played)
        assert_all_agree(played)
        assert played.metrics.total("dispatcher.scope_errors") == 0
        assert played.sandbox.counts()["answers"]["token"]["200"] <= 8


def test_the_clock_of_a_halt_is_the_operators(tmp_path):
    """A run with --once that stays halted for longer than it waits ends with a code of its own."""
    with play(tmp_path, "scope-missing", 50, {"engine.wait_limit_seconds": 1}) as played:
        ended = played.run()
        assert ended.returncode == 11, ended.stderr
        assert "halted" in ended.stderr
        assert not played.sandbox.effects()


def test_credentials_that_the_platform_refuses_end_the_run_at_once(tmp_path, dialect):
    """A typing mistake is told at the start, with the names of the variables, and no secret."""
    scenario = tmp_path / "other.toml"
    scenario.write_text('[token]\nclient_secret = "another"\n[world.shares]\nended = 1\n')
    with play(tmp_path, scenario, 5, dialect=dialect) as played:
        ended = played.run(seconds=30)
        assert ended.returncode == 5
        assert "DISPATCHER_CLIENT_SECRET" in ended.stderr
        assert "sandbox-secret" not in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr


def test_a_restored_scope_resumes_a_run_that_has_nothing_to_send(tmp_path, dialect):
    """The new token proves the scope; contacts that end without a send do not hold the run up."""
    scenario = tmp_path / "nothing.toml"
    granted = ", ".join(f'"{scope}"' for scope in READ)
    scenario.write_text(
        "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n"
        f"[token]\ngranted = [{granted}]\n[world.shares]\ngone = 1\nchannel = 1\n"
    )
    settings = {"rules.halt_suspicious": False}
    with play(tmp_path, scenario, 60, settings, dialect=dialect) as played:
        process = played.start("--once")
        time.sleep(2)
        played.sandbox.post("scopes", granted=READ + WRITE)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert_each_ends_as_the_table_says(played)


@pytest.mark.parametrize("dialect", ["messaging"], indirect=True)
def test_nothing_is_sent_after_its_time_however_long_a_halt_took(tmp_path, dialect):
    """Contacts that expire while the run is halted are not sent when it resumes.

    They are skipped only once a person agrees, since all of them expired for one cause.
    """
    with play(tmp_path, "closing-30", 20, dialect=dialect) as played:
        rows = played.contacts.read_text().splitlines()
        expires = datetime.fromtimestamp(time.time() + 4, UTC).isoformat()
        dated = [f"{rows[0]},expires_at", *(f"{row},{expires}" for row in rows[1:])]
        played.contacts.write_text("\n".join(dated) + "\n")
        played.sandbox.post("scopes", granted=READ)
        process = played.start("--once")
        time.sleep(6)
        played.sandbox.post("scopes", granted=READ + WRITE)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 11, err
        assert {status for status, _ in played.settled().values()} == {"ready"}
        assert played.run("--set", "rules.halt_suspicious=false").returncode == 0
        assert not played.sandbox.effects()
        assert set(played.settled().values()) == {("skipped", "expired")}


@pytest.mark.parametrize("endpoint", ["check", "notify"])
def test_a_daily_limit_on_one_endpoint_leaves_contacts_for_later(tmp_path, dialect, endpoint):
    """They wait in the ledger, the other endpoint goes on, and a run with --once ends."""
    scenario = tmp_path / "limit.toml"
    scenario.write_text(
        "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n"
        f'[[limit]]\nendpoint = "{endpoint}"\nkey = "messaging.{endpoint}.per.day"\n'
        "value = 50\nretry_after = 3600\n[world.shares]\nactive = 1\nended = 1\n"
    )
    with play(tmp_path, scenario, 160, {"engine.wait_limit_seconds": 2}, dialect=dialect) as played:
        ended = played.run(seconds=30)
        assert ended.returncode == 10, ended.stderr
        ends = played.status_counts()
        if endpoint == "notify":
            assert ends["notified", "delivered"] == 50
            assert ends["opened", "delivered"] == sum(
                who.startswith("ended") for who in played.rows()
            )
        assert not [status for status, _ in ends if status in ("claimed", "sending")]
        assert sum(ends.values()) == (160 if endpoint == "notify" else len(played.settled()))
