"""Several campaigns in one daemon, by the installed command, on one sandbox."""

import json
import subprocess
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from dispatcher.domain.status import Status
from dispatcher.ports.orders import PauseOrder
from dispatcher.sandbox.contact_files import write_contacts
from dispatcher.sandbox.scenario.scenario import load
from tests.support import statsd
from tests.support.forked_process import Forked, clean_environment
from tests.support.ledger_reader import LedgerReader
from tests.support.ledgers import AnyLedger, ledger_in, operator_of, settings_of
from tests.support.sandbox_process import sandbox
from tests.support.scenario_runner import CREDENTIALS, QUICK

WORLD = """
seed = 1
[rate]
allowed = {allowed}
window_seconds = 2.0
[latency.default]
kind = "uniform"
low_ms = 2.0
high_ms = 8.0
[world]
ended_after = 1.0
[world.shares]
ended = 60
active = 40
"""
SETTINGS = {
    **QUICK,
    "message.text": "Hello {first_name}",
    "telemetry.log_level": "debug",
    "engine.workers": 16,
}


class Stage:
    """A sandbox, a file of contacts, and a configuration with campaigns."""

    def __init__(self, folder: Path, running, metrics) -> None:
        self.folder, self.sandbox, self.metrics = folder, running, metrics
        self.contacts = folder / "contacts.csv"
        self.ledger = ledger_in(folder)
        self.log = folder / "dispatcher.log"
        self.config = folder / "dispatcher.toml"
        self.started: list[Forked] = []

    def configure(self, *campaigns: dict) -> None:
        blocks = []
        for given in campaigns:
            own = {"share": 1, "path": self.contacts, "text": "Hello", **given}
            blocks.append(
                f'[[campaigns]]\nname = "{own["name"]}"\nshare = {own["share"]}\n'
                f'[campaigns.source]\npath = "{own["path"]}"\n'
                f'[campaigns.message]\ntext = "{own["text"]}"\n'
            )
        self.config.write_text("\n".join(blocks))

    def command(self, *more: str) -> list[str]:
        given = {
            **SETTINGS,
            "telemetry.statsd_port": self.metrics.port,
            "telemetry.log_file": str(self.log),
            **settings_of(self.ledger),
        }
        sets = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
        places = ["--ledger", str(self.ledger), "--platform-url", self.sandbox.url]
        return [
            "-m", "dispatcher", "run", "--config", str(self.config),
            *places, *sets, *more,
        ]  # fmt: skip

    def start(self, *more: str) -> Forked:
        process = Forked(self.command(*more), {**clean_environment(), **CREDENTIALS})
        self.started.append(process)
        return process

    def run(self, *more: str, seconds: float = 60.0) -> "subprocess.CompletedProcess[str]":
        process = self.start("--once", *more)
        out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ends(self, campaign: str) -> Counter[str]:
        with LedgerReader(self.ledger, campaign) as reader:
            return Counter(
                {status.value: sum(1 for _ in reader.contacts(status)) for status in Status}
            )

    def lineage(self, campaign: str) -> dict[str, str]:
        with LedgerReader(self.ledger, campaign) as reader:
            return {row.previous_conversation_id: row.conversation_id for row in reader.lineage()}


@contextmanager
def stage(folder: Path, count: int, allowed: int = 2000):
    path = folder / "scenario.toml"
    path.write_text(WORLD.format(allowed=allowed))
    write_contacts(
        folder / "contacts.csv", count=count, shares=dict(load(path).world.shares), seed=1
    )
    with sandbox(path, folder / "effects.jsonl") as running, statsd.udp() as received:
        played = Stage(folder, running, received)
        try:
            yield played
        finally:
            for process in played.started:
                process.kill()
                process.communicate()


def test_two_campaigns_with_the_same_people(tmp_path):
    """Both finish, each person gets one message of each, and every figure has its campaign."""
    with stage(tmp_path, 300) as played:
        played.configure({"name": "carts", "text": "Cart"}, {"name": "questions", "text": "Ask"})
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert "carts, questions: done (exit code 0)" in ended.stderr
        reached = Counter()
        for effect in played.sandbox.effects():
            reached[effect["previousConversationId"] or effect["conversationId"]] += 1
        assert set(reached.values()) == {2}
        played.metrics.settle()
        for campaign in ("carts", "questions"):
            ends = played.ends(campaign)
            assert ends["notified"] + ends["opened"] == 300
            assert len(played.lineage(campaign)) == 300
            tag = f"campaign:{campaign}"
            total = played.metrics.total
            assert total("dispatcher.contacts.settled", tag) == 300
            assert total("dispatcher.contacts.admitted", tag) == 300
            assert played.metrics.gauge("dispatcher.backlog", tag) == 0
            assert f"Campaign {campaign}, all runs" in ended.stdout
        assert "This run, by campaign" in ended.stdout
        sent = sum(played.sandbox.counts()["answers"]["check"].values())
        requests = played.metrics.series("dispatcher.api.requests", "endpoint", "status")
        assert requests["check", "200"] == sent >= 600, "who is being written to waits its turn"


def test_the_quota_is_shared_by_share(tmp_path):
    """Where the quota binds, three of four contacts are begun for the larger share."""
    with stage(tmp_path, 400, allowed=400) as played:
        played.configure({"name": "large", "share": 3}, {"name": "small"})
        slow = ["--set", "platform.requests_per_minute=12000", "--set", "engine.workers=4"]
        process = played.start("--no-progress", *slow)
        played.sandbox.wait_for_effects(100)
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        settled = {name: len(played.lineage(name)) for name in ("large", "small")}
        share = settled["large"] / sum(settled.values())
        assert share == pytest.approx(0.75, abs=0.08), settled


def test_a_paused_campaign_does_not_hold_up_the_other(tmp_path):
    """It ends with its own exit code, its gauge tells why, and status tells it apart."""
    with stage(tmp_path, 60) as played:
        played.configure({"name": "carts"}, {"name": "questions"})
        assert played.run("--limit", "1").returncode == 0
        pause(played.ledger, "carts")
        port = free_port()
        health = ["--set", f"telemetry.health_port={port}"]
        process = played.start("--no-progress", *health)
        try:
            wait_until(lambda: len(played.lineage("questions")) == 60)
            status = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/status"))
            ready = urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").status
        finally:
            process.terminate()
            process.communicate(timeout=20)
        assert list(status["campaigns"]["carts"]["halted_since"]) == ["paused"]
        assert status["campaigns"]["questions"]["halted_since"] == {}
        assert (status["halted_since"], ready) == ({}, 200)
        played.metrics.settle()
        paused = [
            played.metrics.gauge("dispatcher.halted", "reason:paused", f"campaign:{name}")
            for name in ("carts", "questions")
        ]
        assert paused == [1, 0]
        again = played.run()
        assert again.returncode == 13, again.stderr
        assert len(played.lineage("carts")) <= 1
        events = [json.loads(line) for line in played.log.read_text().splitlines()]
        told = {each["campaign"] for each in events if each["event"] == "campaign.paused"}
        assert told == {"carts"}


def test_a_source_that_cannot_be_read_is_an_error_of_the_run(tmp_path):
    """Nothing is sent for the other one either; --campaign runs that one alone."""
    with stage(tmp_path, 20) as played:
        played.configure({"name": "carts"}, {"name": "questions", "path": tmp_path / "no.csv"})
        missing = played.run()
        assert missing.returncode == 2
        assert "campaigns[2].source.path does not exist" in missing.stderr
        assert played.sandbox.effects() == []
        alone = played.run("--campaign", "carts")
        assert alone.returncode == 0, alone.stderr
        assert len(played.lineage("carts")) == 20


def pause(ledger: AnyLedger, campaign: str) -> None:
    """Pause a campaign while no daemon runs."""
    operator_of(ledger).order(PauseOrder(campaign))


def wait_until(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.05)


def free_port() -> int:
    import socket  # noqa: PLC0415 - for this alone

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
