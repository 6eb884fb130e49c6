"""Signals to the installed command: what is in flight is settled, and the next run goes on."""

import signal
import time

import pytest

from tests.support.sandbox_process import DEMO_SCENARIO
from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    play,
)

COUNT = 800


def test_one_signal_drains_and_the_next_run_finishes(tmp_path):
    """Exit code 0 within the drain limit; afterwards nobody twice, nobody missing."""
    with play(tmp_path, DEMO_SCENARIO, COUNT, {"engine.drain_seconds": 10}) as played:
        process = played.start("--once")
        played.sandbox.wait_for_effects(100)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - asked < 10
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert 100 <= len(played.sandbox.effects()) < COUNT / 2
        assert not [end for end in played.settled().values() if end[0] in ("claimed", "sending")]
        assert played.run().returncode == 0
        assert_each_ends_as_the_table_says(played)
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)


@pytest.mark.parametrize("latency", [2, 300])
def test_two_signals_stop_at_once_and_the_next_run_finishes(tmp_path, latency):
    """Out at once; what was on the wire is looked for by the next run, nobody is lost."""
    scenario = tmp_path / "slow.toml"
    scenario.write_text(
        "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n"
        f'[latency.default]\nkind = "fixed"\nms = {latency}\n'
        "[world.shares]\nactive = 1\nended = 1\n"
    )
    with play(tmp_path, scenario, 300) as played:
        process = played.start("--once")
        played.sandbox.wait_for_effects(100)
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)  # two of the same signal at once are one to a process
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - asked < 3
        assert process.returncode in (0, 130), err
        assert "Traceback" not in err
        caught = played.status_counts()["sending", None]
        assert caught <= 64
        assert played.run("--wait-limit", "3").returncode in (0, 10)
        assert_nobody_twice_nobody_missing(played)
        ends = played.status_counts()
        played.metrics.settle()
        found = played.metrics.total("dispatcher.in_doubt", "resolution:found")
        assert found + ends["in_doubt", None] == caught
        assert sum(ends.values()) == 300


def test_a_drain_limit_that_is_too_short_has_its_own_exit_code(tmp_path):
    """What the limit cut off is in the ledger, and found by the next run."""
    scenario = tmp_path / "stuck.toml"
    scenario.write_text(
        "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n"
        '[latency.notify]\nkind = "fixed"\nms = 1500\n'
        "[world.shares]\nactive = 1\n"
    )
    with play(tmp_path, scenario, 80, {"engine.drain_seconds": 0.5}) as played:
        process = played.start("--once")
        played.sandbox.wait_for_effects(10)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 12, err
        assert 0 < played.status_counts()["sending", None] <= 64
        assert played.run("--set", "platform.timeout_seconds=20", seconds=110).returncode == 0
        assert_nobody_twice_nobody_missing(played)
        assert_each_ends_as_the_table_says(played)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_first_contact_ends_the_run_cleanly(tmp_path, number):
    """While the run still waits for its first token, one signal is enough, and the code is 0."""
    scenario = tmp_path / "late.toml"
    scenario.write_text('[latency.token]\nkind = "fixed"\nms = 8000\n[world.shares]\nactive = 1\n')
    with play(tmp_path, scenario, 5) as played:
        process = played.start("--once")
        end = time.monotonic() + 20
        while not (played.log.exists() and "run.started" in played.log.read_text()):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        asked = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - asked < 3
        assert process.returncode == 0, err
        assert "Traceback" not in err


def test_a_drain_does_not_wait_for_the_quota(tmp_path):
    """A run that the platform holds for a minute ends at once all the same."""
    scenario = tmp_path / "tight.toml"
    scenario.write_text(
        "[rate]\nallowed = 60\nwindow_seconds = 60.0\nphase = 0.0\nheaders = false\n"
        '[rate.other]\nper_window = 55\nmode = "burst"\n[world.shares]\nactive = 1\n'
    )
    settings = {"platform.requests_per_minute": 6000, "platform.window_seconds": 60}
    with play(tmp_path, scenario, 200, settings) as played:
        process = played.start("--once")
        end = time.monotonic() + 20
        while not played.metrics.total("dispatcher.api.throttled"):
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - asked < 3
        assert process.returncode == 0, err
