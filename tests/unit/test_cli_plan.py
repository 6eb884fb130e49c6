"""``dispatcher plan`` in words: every figure with its interval, and what it rests on."""

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from dispatcher.app import dry_run
from dispatcher.cli import cli
from dispatcher.domain.forecast import Forecast, SampleTotals
from dispatcher.domain.foreseen_halt import ForeseenHalt
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.domain.suspicion import RefusalKind
from dispatcher.engine.readonly.dry_run import DryRunReport, ScanProgress


def made(checked=50, to_check=1000):
    sums = SampleTotals()
    for number in range(checked):
        late = number % 10 == 0
        waits = RetryReason.NOT_ENDED if late else None
        sums.add(Forecast(Status.OPENED, Reason.DELIVERED, 3 if late else 1, 1, waits, 10.0 * late))
    scan = ScanProgress(
        rows=1010, contacts=to_check, duplicates=6, rejected=Counter(no_id=4), to_check=to_check,
        checked=checked, at_end=True,
    )  # fmt: skip
    return DryRunReport(scan, sums.estimate(to_check), in_doubt=3, longest_wait=10.0)


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Run the command with a plan that is made already; return its result and the requests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contacts.csv").write_text("conversation_id\nc-1\n")
    requests = []

    def run(plan, *more):
        monkeypatch.setattr(
            dry_run, "plan", lambda *_, **what: requests.append(SimpleNamespace(**what)) or plan
        )
        options = ["--source", "contacts.csv", "--campaign", "carts", *more]
        secrets = {"DISPATCHER_CLIENT_ID": "a", "DISPATCHER_CLIENT_SECRET": "b"}
        url = ["--platform-url", "https://api.example.com", "--set", "message.text=Hi"]
        return CliRunner(env=secrets).invoke(cli, ["plan", *options, *url]), requests

    return run


def test_people_read_what_it_rests_on(invoke):
    """The sample, the assumption, the end at this quota, and that nothing was sent."""
    result, (request,) = invoke(made(), "--sample", "50", "--seed", "3")
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "States read: 50 of 1,000 contacts." in words
    assert "within 60 s (--ended-after)" in words
    assert "in doubt, not planned 3" in words
    assert "At 300 requests a minute it takes" in words
    assert "Nothing was sent, and nothing was written." in words
    assert (request.sample, request.seed, request.ended_after) == (50, 3, 60.0)


def test_programs_read_every_estimate_with_its_bounds(invoke):
    """2.2 requests each for 1,000 contacts, at 98% of 300 a minute."""
    result, _ = invoke(made(), "--json")
    plan = json.loads(result.stdout)
    assert plan["rows"]["rejected"] == {"no_id": 4}
    assert plan["ledger"] == {"waiting": 0, "suspected": 0, "in_doubt": 3}
    every = plan["requests"]["all"]
    assert every["low"] < every["estimate"] == 2200 < every["high"]
    assert plan["deferred"]["not_ended"]["estimate"] == 100
    assert plan["duration_seconds"]["estimate"] == pytest.approx(2200 / 4.9)
    assert plan["ends_at"]["low"] < plan["ends_at"]["estimate"] < plan["ends_at"]["high"]


def test_all_and_none_exclude_each_other(invoke):
    """A mistake in the options is reported at once."""
    result, requests = invoke(made(), "--all", "--no-checks")
    assert result.exit_code == 2
    assert "cannot be used together" in result.output
    assert not requests


def test_the_others_are_done_before_sessions_that_stay_as_they_are(invoke):
    """100 of 1,000 wait: the other 900 take 1,800 requests, and looks a quarter of the quota."""
    result, _ = invoke(made(1000), "--json")
    seconds = json.loads(result.stdout)["others_done_seconds"]
    assert seconds == pytest.approx(1800 / 0.75 / (5 * 0.98), rel=0.01)
    words = " ".join(invoke(made(1000))[0].stdout.split())
    assert "checking them again takes up to 25% of the quota (retry.waiting_share)" in words


def test_a_halt_that_is_foreseen_is_said(invoke):
    """In words and in JSON; a plan without one says none."""
    halting = replace(made(), halt=ForeseenHalt(RefusalKind(Step.CHECK, 404), 40, 50, 26))
    result, _ = invoke(halting)
    assert result.exit_code == 0
    assert "A run would halt: 40 of 50 contacts whose state was read (80%)" in result.stdout
    assert json.loads(invoke(halting, "--json")[0].stdout)["would_halt"]["share"] == 0.8
    assert "would halt" not in invoke(made())[0].stdout
    assert json.loads(invoke(made(), "--json")[0].stdout)["would_halt"] is None
