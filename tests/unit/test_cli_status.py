"""``dispatcher status``: figures for people and for programs, and where they are found."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from dispatcher.app.control import client
from dispatcher.app.control import status_json as status
from dispatcher.cli import cli
from dispatcher.cli.commands import status as status_command
from dispatcher.cli.config import LedgerOptions
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.doubts import Doubts
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Backlog, Batch, Intent, Totals
from dispatcher.ports.questions import CampaignStatus
from dispatcher.settings import LedgerPlace

LEDGER = LedgerPlace.of_file(Path("ledger.db"))
TOTALS = Totals(
    rows=9,
    admitted=5,
    duplicates=1,
    filtered=1,
    rejected={"no_id": 2},
    by_status={
        (Status.NOTIFIED, Reason.DELIVERED): 2,
        (Status.PARKED, Reason.IDENTITY): 1,
        (Status.READY, None): 2,
    },
)
BACKLOG = Backlog(due=1, later=1, claimed_or_sending=0, oldest_due=90.0, next_due=130.0)
STANDING = CampaignStatus("c1", TOTALS, BACKLOG, paused_since=80.0)
RUN = {
    "in_flight": 3,
    "requests_per_second": 5.0,
    "settled": {"notified": {"delivered": 10}},
    "requests": {"check": {"200": 20}, "notify": {"202": 10}},
    "rates": {"settled_10": 1.5, "settled_60": 1.0, "requests_10": 4.0, "requests_60": 3.0},
    "gauges": {"quota_used": 0.5},
    "halted_since": {"scope": 60.0},
}


@pytest.fixture
async def ledger(monkeypatch, tmp_path):
    """A ledger without contacts, of campaigns c1 and c2."""
    monkeypatch.chdir(tmp_path)
    for campaign in ("c1", "c2"):
        await (await SqliteLedger.open("ledger.db", campaign)).close()
    return tmp_path / "ledger.db"


@pytest.fixture
def running(monkeypatch, ledger):
    """A running dispatcher that reports its status."""
    answer = {"pid": 42, "campaigns": [status.to_json(STANDING)], "run": RUN}
    monkeypatch.setattr(client, "running_status", lambda *_: answer)


def test_one_of_several_campaigns_is_chosen_by_its_name(tmp_path):
    """An order for one campaign of a list is none for the others; without a name it is for all."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        "".join(
            f'[[campaigns]]\nname = "{name}"\n[campaigns.source]\npath = "{name}.csv"\n'
            for name in ("a", "b")
        )
    )
    for campaign in ("b", None):
        options = LedgerOptions(config=config, ledger=None, campaign=campaign)
        assert options.ledger_and_campaign()[1] == campaign


def invoke(*arguments):
    return CliRunner().invoke(cli, ["status", *arguments])


def test_a_status_is_the_same_after_the_socket():
    """What a program reads is all that the table shows."""
    for shown in (STANDING, replace(STANDING, doubts=DOUBTS)):
        assert status.from_json(json.loads(json.dumps(status.to_json(shown)))) == shown


def test_json_has_every_figure(running):
    """Programs get the same figures, by words, and what only the run knows."""
    report = json.loads(invoke("--json").stdout)
    assert report["source"] == "dispatcher 42"
    assert report["campaigns"] == [
        {
            "campaign": "c1",
            "rows": {
                "read": 9, "admitted": 5, "duplicates": 1, "rejected": {"no_id": 2}, "filtered": 1,
            },
            "contacts": {
                "notified": {"delivered": 2}, "parked": {"identity": 1}, "ready": {"not_final": 2},
            },
            "backlog": {"due": 1, "later": 1, "busy": 0, "oldest_due": 90.0, "next_due": 130.0},
            "paused_since": 80.0,
        }
    ]  # fmt: skip
    assert report["run"] == RUN


DOUBTS = Doubts(3, last_sent=100.0, last_ended=110.0, next_look=120.0)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "3 in doubt: the next run looks for them."),
        (
            {"records_until": 300.0},
            (
                "3 in doubt: the next run looks for them; waiting until the platform's records "
                "reach 1970-01-01T00:05:00.000Z."
            ),
        ),
        (
            {"records_until": 300.0, "records_reach": 60.0, "parked_at": 3600.0},
            (
                "3 in doubt: waiting until the platform's records reach 1970-01-01T00:05:00.000Z "
                "(so far 1970-01-01T00:01:00.000Z); the next look back is due at "
                "1970-01-01T00:02:00.000Z; parked at 1970-01-01T01:00:00.000Z if no proof comes."
            ),
        ),
    ],
)
def test_it_says_what_contacts_in_doubt_wait_for_and_until_when(known, said):
    """As much of it as is known."""
    assert status_command.doubtful(replace(DOUBTS, **known)) == said


async def test_the_configuration_says_until_when_records_must_reach(ledger, tmp_path):
    """No dispatcher runs; the assumptions are those of the next run."""
    async with await SqliteLedger.open(ledger, "c2") as opened:
        contact = Contact("key", "conversation", "Hello")
        (claim,) = (await opened.admit(Batch([contact]), 0.0, 1)).claims
        await opened.intend(Intent(claim.id, Step.NOTIFY, Notify("conversation"), 100.0, NEW))
        await opened.mark_in_doubt(claim.id, 120.0, Progress(sends=1, doubted_at=115.0))
    (tmp_path / "dispatcher.toml").write_text('campaign = "c2"\nreconcile.max_lag_seconds = 20')
    (campaign,) = json.loads(invoke("--json").stdout)["campaigns"]
    assert campaign["in_doubt"] == {
        "contacts": 1, "last_sent": 100.0, "last_ended": 115.0, "next_look": 120.0,
        "records_until": 115.0 + 60 + 5 + 20, "records_reach": None, "parked_at": None,
    }  # fmt: skip
    assert "1 in doubt: the next run looks for them; waiting" in " ".join(invoke().stdout.split())


def test_the_time_left_follows_from_the_quota_and_the_requests_so_far(running):
    """Two contacts at three requests each, five requests a second: 1.2 s."""
    report = status_command.read_status(LEDGER, None)
    assert (report["left"], report["requests_per_contact"], report["eta_seconds"]) == (2, 3.0, 1.2)


def test_people_see_halts_pauses_rates_and_what_waits(running, capsys):
    """Each with since when."""
    status_command.show(status_command.read_status(LEDGER, None), now=120.0)
    shown = " ".join(capsys.readouterr().out.split())
    assert "all rows" in shown
    assert "1 due now, 1 due later" in shown
    assert "the oldest due for 30 s" in shown
    assert "Paused for 40 s" in shown
    assert "HALTED: scope, since 1970-01-01T00:01:00.000Z (1:00 min)" in shown
    assert "3 in flight" in shown
    assert "50% of the quota" in shown


def test_ledger_and_campaign_come_from_a_configuration(ledger, tmp_path):
    """A configuration names both, and the quota; the one in the working folder is taken."""
    (tmp_path / "dispatcher.toml").write_text('campaign = "c2"\nplatform.requests_per_minute = 120')
    report = json.loads(invoke("--json").stdout)
    assert [campaign["campaign"] for campaign in report["campaigns"]] == ["c2"]
    assert report["requests_per_second"] == 2.0
    (tmp_path / "dispatcher.toml").unlink()
    report = json.loads(invoke("--ledger", str(ledger), "--json").stdout)
    assert [campaign["campaign"] for campaign in report["campaigns"]] == ["c1", "c2"]
    assert report["source"] == "ledger"
    assert report["eta_seconds"] is None


def test_a_ledger_or_a_campaign_that_is_not_there(ledger):
    """Each is a sentence and an exit code."""
    result = invoke("--ledger", "some.db")
    assert result.exit_code == 4
    assert result.stderr.startswith("dispatcher: ")
    assert "some.db" in result.stderr
    result = invoke("--ledger", str(ledger), "--campaign", "c3")
    assert result.exit_code == 2
    assert "it holds: c1, c2" in result.stderr


def test_a_ledger_that_is_damaged(ledger):
    """The database's complaint is put into words."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    content = bytearray(ledger.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    ledger.write_bytes(content)
    result = invoke("--ledger", str(ledger))
    assert result.exit_code == 4
    assert "damaged" in result.stderr


def test_waiting_says_when_it_goes_on():
    """What is not final is report with the time until the next is due."""
    assert "the next in 30 s" in status_command.waiting(BACKLOG, 0, 100.0)
    assert status_command.waiting(Backlog(0, 0, 0, None, None), 0, 1.0) == "Every contact is final."
    assert "2 in doubt" in status_command.waiting(Backlog(0, 0, 0, None, None), 2, 1.0)


def test_people_see_what_waits_for_each_sink_and_why():
    """One that works, and one that fails."""
    sinks = {
        "lake": {"lag": 0, "error": "", "ranges": 4},
        "warehouse": {"lag": 1200, "error": "sink warehouse: no answer", "ranges": 0},
    }
    assert status_command._sinks(RUN | {"sinks": sinks}) == [
        "Sink lake: 0 wait.",
        "Sink warehouse: 1,200 wait; sink warehouse: no answer.",
    ]
    assert status_command._sinks(RUN) == []
