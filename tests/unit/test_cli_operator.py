"""The operator's commands: what they ask, what they print, and how they refuse."""

import json

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from dispatcher.cli.commands import parked as parked_command
from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Batch, Settlement

HEADER = "conversation_id,first_name"


@pytest.fixture
async def ledger(monkeypatch, tmp_path):
    """Three parked contacts of one campaign, and rows that were rejected in two files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.csv").write_text(f"{HEADER}\na/b,Ada\n")
    (tmp_path / "two.csv").write_text("sep=;\nconversation_id;age\nc/d;3\n")
    rejected = [
        RejectedRow("one.csv", 2, "bad_id", "column 'conversation_id'", b"a/b,Ada"),
        RejectedRow("two.csv", 3, "bad_id", "column 'conversation_id'", b"c/d;3"),
        RejectedRow("one.csv", 9, "text_too_long", "9,999 characters", b"x" * 8192),
        RejectedRow("gone.csv", 1, "header", "has no column", b"nonsense"),
        RejectedRow("some.jsonl", 4, "no_id", "column 'conversation_id' is empty", b'{"age": 3}'),
    ]
    contacts = [Contact(f"key-{n}", f"conversation-{n}", "Hi Ada") for n in range(3)]
    async with await SqliteLedger.open("ledger.db", "c") as opened:
        claims = (await opened.admit(Batch(contacts, rejected), 1.0, 9)).claims
        for claim in claims:
            end = Settlement(claim.id, Status.PARKED, Reason.IDENTITY, 2.0, Progress(sends=1))
            await opened.settle(end)
    return tmp_path / "ledger.db"


def invoke(*arguments, **more):
    return CliRunner().invoke(cli, [*arguments, "--ledger", "ledger.db"], **more)


def parked():
    return [row["key"] for row in json.loads(invoke("parked", "list", "--json").stdout)]


def test_a_list_has_tabs_without_a_terminal(ledger):
    """A header and a line for each contact, for other programs; the limit is reported."""
    result = invoke("parked", "list", "--limit", "2")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0] == list(parked_command.COLUMNS)
    assert [line[2] for line in lines[1:]] == ["key-0", "key-1"]
    assert lines[1][5:8] == ["1970-01-01T00:00:02.000Z", "0", "1"]
    assert "2 of 3 parked contacts" in result.stderr


@pytest.mark.parametrize(("typed", "left"), [("3\n", []), ("2\n", ["key-0", "key-1", "key-2"])])
def test_many_are_dropped_only_by_their_number(ledger, monkeypatch, typed, left):
    """At a terminal the number is asked for; a wrong one changes nothing."""
    monkeypatch.setattr(parked_command, "_at_terminal", lambda: True)
    result = invoke("parked", "drop", input=typed)
    assert "identity: 3" in result.stdout
    assert parked() == left


def test_without_a_terminal_many_need_a_yes(ledger):
    """Otherwise nothing is done, and the message says what to add; one needs none."""
    refused = invoke("parked", "drop")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert len(parked()) == 3
    assert "1 contact dropped" in invoke("parked", "drop", "key-1").stdout
    assert parked() == ["key-0", "key-2"]
    assert "2 contacts replayed" in invoke("parked", "replay", "--yes").stdout
    assert "nothing was done" in invoke("parked", "replay", "--yes").stdout


@pytest.mark.parametrize(
    ("age", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("3d", 259200)]
)
def test_ages(age, seconds):
    """A number, and a letter for its unit."""
    assert parked_command.age(age) == seconds


def test_a_text_that_is_not_an_age(ledger):
    """It is a mistake of usage."""
    result = invoke("parked", "list", "--older-than", "soon")
    assert result.exit_code == 2
    assert "30m" in result.stderr


def test_a_contact_that_is_not_parked_cannot_be_shown_as_parked(ledger):
    """`explain` shows it all the same."""
    invoke("parked", "drop", "key-0")
    assert invoke("parked", "show", "key-0").exit_code == 2
    history = json.loads(invoke("explain", "key-0", "--json").stdout)
    assert history[0]["reason"] == "dropped"
    assert invoke("explain", "key-9").exit_code == 2


def test_pause_and_resume_say_what_was_done(ledger):
    """Each names the campaign and who did it; a second resume finds nothing to do."""
    assert "Campaign c is paused since" in invoke("pause").stdout
    assert "Campaign c is resumed" in invoke("resume").stdout
    assert "nothing was done" in invoke("resume").stdout


def test_rows_of_different_headers_go_to_different_files(ledger, tmp_path):
    """Rows that are not whole are in the list alone."""
    result = invoke("rejected", "export", "--out", "bad.csv")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "bad.csv").read_text() == f"{HEADER}\na/b,Ada\n"
    assert (tmp_path / "bad-2.csv").read_text() == "sep=;\nconversation_id;age\nc/d;3\n"
    assert (tmp_path / "bad-3.jsonl").read_text() == '{"age": 3}\n'
    assert "2 are in that list only" in result.stderr
    assert "one.csv has changed since it was read" in result.stderr
    listed = (tmp_path / "bad.reasons.csv").read_text().splitlines()
    assert listed[1] == "bad.csv,2,one.csv,2,bad_id,column 'conversation_id'"
    assert listed[2] == "bad-2.csv,3,two.csv,3,bad_id,column 'conversation_id'"
    assert listed[4] == ",,gone.csv,1,header,has no column"


def test_rows_whose_source_is_gone_need_a_header(ledger, tmp_path):
    """The message says how to name one; nothing is overwritten."""
    (tmp_path / "two.csv").rename(tmp_path / "moved.csv")
    result = invoke("rejected", "export", "--out", "bad.csv", "--reason", "bad_id")
    assert result.exit_code == 3
    assert "--header" in result.stderr
    assert not list(tmp_path.glob("bad*"))
    options = ("--reason", "bad_id", "--header", "moved.csv")
    assert invoke("rejected", "export", "--out", "bad.csv", *options).exit_code == 0
    assert (tmp_path / "bad.csv").read_text().endswith("conversation_id;age\na/b,Ada\nc/d;3\n")
    again = invoke("rejected", "export", "--out", "bad.csv", *options)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
