"""The plan against the real run that follows, through the installed command."""

import json
from collections import Counter

import pytest

from dispatcher.domain.status import FINAL
from tests.support import forked_process
from tests.support.scenario_runner import CREDENTIALS, play

MIXTURE = (
    "[rate]\nallowed = 4000\nwindow_seconds = 2.0\n[world.shares]\n"
    "active = 30\nringing = 5\nended = 40\ngone = 6\nchannel = 5\nchannelopen = 3\n"
    "noidentity = 3\nswapped = 3\nunknown = 1\nneverends = 1\n"
)
"""Kinds whose ends a state check can foresee; those that only a send shows are not among them."""


def planned(played, *more, code=0):
    """Make a plan with the installed command; return what it prints."""
    command = ["plan" if part == "run" else part for part in played.command("--json", *more)]
    ended = forked_process.run(command, {**forked_process.clean_environment(), **CREDENTIALS})
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return json.loads(ended.stdout) if code == 0 else ended.stderr


def requests(played):
    """How many requests of contacts the sandbox answered."""
    answers = played.sandbox.counts()["answers"]
    steps = ("check", "notify", "open")
    return Counter({step: sum(answers.get(step, {}).values()) for step in steps})


def spans(plan):
    """The planned contacts, by status and reason."""
    return {
        (status, reason): span
        for status, by_reason in plan["contacts"].items()
        for reason, span in by_reason.items()
    }


@pytest.fixture
def mixture(tmp_path):
    scenario = tmp_path / "mixture.toml"
    scenario.write_text(MIXTURE)
    return scenario


@pytest.fixture
def plain(tmp_path):
    scenario = tmp_path / "plain.toml"
    shares = "[world.shares]\nactive = 1\nended = 1\n"
    scenario.write_text(f"[rate]\nallowed = 4000\nwindow_seconds = 2.0\n{shares}")
    return scenario


def test_the_following_run_does_what_was_planned(tmp_path, mixture):
    """With --all outcomes are exact and requests within 2%; a sample's intervals hold the truth.

    And afterwards there is nothing left to plan.
    """
    patience = {"retry.not_ended_seconds": 0.5, "retry.not_ended_max_minutes": 0.025}
    with play(tmp_path, mixture, 700, patience) as played:
        with played.contacts.open("a") as more:
            first = played.contacts.read_text().splitlines()[1]
            more.write(f"{first}\n,nobody,Ada,1,abandoned\n")
        plan = planned(played, "--all", "--ended-after", "600")
        sampled = planned(played, "--sample", "250", "--seed", "7", "--ended-after", "600")
        asked = requests(played)
        assert asked == Counter(check=950), "a plan only reads, and reads each state once"
        assert not played.sandbox.effects()
        assert not played.ledger.exists()
        assert played.run().returncode == 0
        real, ends = requests(played) - asked, played.status_counts()
        after = planned(played)
        assert requests(played) == asked + real, "what is settled is not asked again"
    _show_side_by_side(plan, sampled, real, ends)
    assert {key: span["estimate"] for key, span in spans(plan).items()} == dict(ends)
    assert plan["rows"]["duplicates"] == 1
    assert plan["rows"]["rejected"] == {"no_id": 1}
    wanted = {name: span["estimate"] for name, span in plan["requests"].items()}
    assert wanted["sends"] == real["notify"] + real["open"]
    assert abs(wanted["all"] - real.total()) <= 0.02 * real.total()
    for key, span in spans(sampled).items():
        assert span["low"] <= ends[key] <= span["high"], key
        assert span["low"] < span["high"]
    span = sampled["requests"]["all"]
    assert span["low"] <= real.total() <= span["high"]
    assert (after["rows"]["contacts"], after["ledger"]["waiting"]) == (0, 0)
    assert after["requests"]["all"]["high"] == 0


def _show_side_by_side(plan, sampled, real, ends):
    print("", "all", "sample", "low", "high", "real", sep="\t")  # noqa: T201 - for who runs it
    exact, rough = spans(plan), spans(sampled)
    for key in sorted(exact.keys() | ends.keys()):
        of_sample = rough.get(key, {"estimate": 0, "low": 0, "high": 0}).values()
        row = exact[key]["estimate"], *of_sample, ends[key]
        print("/".join(key), *row, sep="\t")  # noqa: T201 - as above
    row = plan["requests"]["all"]["estimate"], *sampled["requests"]["all"].values(), real.total()
    print("requests", *row, sep="\t")  # noqa: T201 - as above


def test_a_campaign_that_is_under_way_is_planned_from_where_it_stands(tmp_path, plain):
    """Contacts of the ledger are planned with those not read yet; the settled take no request."""
    with play(tmp_path, plain, 300) as played:
        assert played.run("--limit", "100").returncode == 0
        settled = sum(status in FINAL for status, _ in played.settled().values())
        plan = planned(played, "--all")
        before = requests(played)
        assert plan["rows"]["contacts"] + plan["ledger"]["waiting"] == 300 - settled
        assert played.run().returncode == 0
        assert (requests(played) - before).total() == plan["requests"]["all"]["estimate"]


def test_without_checks_the_platform_is_not_asked(tmp_path, plain):
    """The source alone tells between how many requests the truth lies."""
    with play(tmp_path, plain, 50) as played:
        plan = planned(played, "--no-checks")
        assert plan["requests"]["all"] == {"estimate": 100, "low": 50, "high": 100}
        assert not plan["contacts"]
        assert played.sandbox.counts()["requests"] == 0


def test_what_would_halt_a_run_ends_a_plan(tmp_path):
    """A scope that is missing and a platform that is not there are told, with exit code 5."""
    with play(tmp_path, "scope-missing", 20) as played:
        told = planned(played, code=5)
        assert "the token lacks" in told
        assert requests(played).total() == 0
        played.sandbox.post("down", seconds=60)
        told = planned(played, code=5)
        assert "cannot be reached" in told
        assert "platform.base_url" in told
