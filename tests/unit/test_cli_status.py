"""``dispatcher status``: figures for people and for programs, and where the ledger is found."""

import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli, standing
from dispatcher.domain.status import Reason, Status
from dispatcher.ports import Backlog, Totals

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
BACKLOG = Backlog(due=1, later=1, busy=0, oldest_due=90.0, next_due=130.0)


@dataclass
class One:
    campaign: str = "c1"
    totals: Totals = TOTALS
    backlog: Backlog = BACKLOG


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Answer for the ledger, and remember what was asked."""
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        standing, "read_status", lambda *given, **_now: calls.append(given) or [One()]
    )
    return calls


def test_json_has_every_figure(asked):
    """Programs get the same figures, by words."""
    result = CliRunner().invoke(cli, ["status", "--ledger", "some.db", "--json"])
    (campaign,) = json.loads(result.stdout)
    assert campaign == {
        "campaign": "c1",
        "rows": {
            "read": 9, "admitted": 5, "duplicates": 1, "rejected": {"no_id": 2}, "filtered": 1,
        },
        "contacts": {
            "notified": {"delivered": 2}, "parked": {"identity": 1}, "ready": {"not_final": 2},
        },
        "backlog": {"due": 1, "later": 1, "busy": 0, "oldest_due": 90.0, "next_due": 130.0},
    }  # fmt: skip
    assert [(str(path), campaign) for path, campaign in asked] == [("some.db", None)]


def test_people_get_a_table_and_what_is_not_final(asked):
    """Without --json the summary is printed, and what waits."""
    result = CliRunner().invoke(cli, ["status", "--ledger", "some.db", "--campaign", "c1"])
    assert result.exit_code == 0
    assert "all rows" in result.stdout
    assert "1 due now, 1 due later" in result.stdout
    assert asked[0][1] == "c1"


def test_ledger_and_campaign_come_from_a_configuration(asked, tmp_path):
    """A configuration names both; the one in the working folder is taken by itself."""
    (tmp_path / "dispatcher.toml").write_text('campaign = "c2"\nledger.path = "other.db"\n')
    assert CliRunner().invoke(cli, ["status"]).exit_code == 0
    (tmp_path / "dispatcher.toml").unlink()
    assert CliRunner().invoke(cli, ["status"]).exit_code == 0
    assert [(str(path), campaign) for path, campaign in asked] == [
        ("other.db", "c2"),
        ("ledger.db", None),
    ]


def test_a_ledger_that_is_not_there(monkeypatch, tmp_path):
    """It is a sentence and exit code 4."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["status", "--ledger", "some.db"])
    assert result.exit_code == 4
    assert result.stderr.startswith("dispatcher: ")
    assert "some.db" in result.stderr


def test_waiting_says_when_it_goes_on():
    """What is not final is told with the time until the next is due."""
    assert "the next in 30 s" in standing.waiting(BACKLOG, 100.0)
    assert standing.waiting(Backlog(0, 0, 0, None, None), 1.0) == "Every contact is final."
