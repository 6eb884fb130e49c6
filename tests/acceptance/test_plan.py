"""The plan against the real run that follows, through the installed command."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.support.playing import CREDENTIALS, clean_environment, play
from tests.support.sandboxed import ROOT

MIXTURE = (
    "[rate]\nallowed = 4000\nwindow_seconds = 2.0\n[world.shares]\n"
    "active = 30\nringing = 5\nended = 40\ngone = 6\nchannel = 5\nchannelopen = 3\n"
    "noidentity = 3\nswapped = 3\nunknown = 1\nneverends = 1\n"
)
"""Kinds whose ends a state check can foresee; those that only a send shows are not among them."""


def planned(played, *more, code=0):
    """Make a plan with the installed command; return what it prints."""
    command = ["plan" if part == "run" else part for part in played.command("--json", *more)]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        env={**clean_environment(), **CREDENTIALS},
    )  # fmt: skip
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


def test_all_is_what_the_following_run_does(tmp_path, mixture):
    """Every outcome is exact, and the requests agree within 2%."""
    with play(tmp_path, mixture, 1000) as played:
        with played.contacts.open("a") as more:
            first = played.contacts.read_text().splitlines()[1]
            more.write(f"{first}\n,nobody,Ada,1,abandoned\n")
        plan = planned(played, "--all", "--ended-after", "600")
        asked = requests(played)
        assert asked == Counter(check=1000), "a plan reads, and reads each state once"
        assert not played.sandbox.effects()
        assert not played.ledger.exists()
        assert played.run().returncode == 0
        real, ends = requests(played) - asked, played.status_counts()
    foreseen = {key: span["estimate"] for key, span in spans(plan).items()}
    print("what", "predicted", "real", sep="\t")  # noqa: T201 - the figures side by side
    for key in sorted(foreseen.keys() | ends.keys()):
        print(*key, foreseen.get(key), ends.get(key), sep="\t")  # noqa: T201 - as above
    wanted = {name: span["estimate"] for name, span in plan["requests"].items()}
    print("requests", wanted["all"], real.total(), sep="\t")  # noqa: T201 - as above
    assert foreseen == dict(ends)
    assert plan["rows"]["duplicates"] == 1
    assert plan["rows"]["rejected"] == {"no_id": 1}
    assert wanted["sends"] == real["notify"] + real["open"]
    assert abs(wanted["all"] - real.total()) <= 0.02 * real.total()
