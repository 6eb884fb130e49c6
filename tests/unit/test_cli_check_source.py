"""``dispatcher check``: the columns of the files, and with --source all of their rows."""

import asyncio
import gzip

import pytest
from click.testing import CliRunner

from dispatcher.app.source_check import probable_encoding
from dispatcher.cli import cli
from dispatcher.domain.contact import Contact
from dispatcher.domain.errors import ExitCode
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Batch
from dispatcher.sources.suppression.last_size import LastSize

CONFIG = """
campaign = "carts"
message.text = "Hello {name}"
[source]
path = "contacts.csv"
filter = { status = "open" }
[rules]
quiet_hours = "21:00-08:00"
timezone_column = "tz"
suppression_file = "optout.txt"
[platform]
base_url = "https://api.example.com"
"""
HEADER = b"CONVERSATION_ID,External Contact Id,Name,status,TZ,expires_at,note\n"


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Run the command on a file with these bytes; return its exit code and its words."""
    monkeypatch.chdir(tmp_path)

    def run(data, *options, listed="X-2\nx-9\n"):
        (tmp_path / "dispatcher.toml").write_text(CONFIG)
        (tmp_path / "optout.txt").write_text(listed)
        (tmp_path / "contacts.csv").write_bytes(data)
        secrets = {"DISPATCHER_CLIENT_ID": "a", "DISPATCHER_CLIENT_SECRET": "b", "COLUMNS": "120"}
        result = CliRunner(env=secrets).invoke(cli, ["check", *options])
        return result.exit_code, " ".join(result.output.replace("|", " ").split())

    return run


def test_the_whole_file_is_reported(check):
    """Every row is in the report; nothing of a row is, but zones and names of columns."""
    rows = [
        b"c1,x-1,Ada,open,Europe/Berlin,,secret\n",
        b"c1,x-1,Ada,open,Europe/Berlin,,secret\n",
        b"c2,x-2,Ben,open,Bonn,2020-01-01,\n",
        b"c3,NULL,Eva,open,,,\n",
        b"c4,x-4,NULL,open,,,\n",
        b"c5,x-1,Udo,open,,,\n",
        b"c6,x-6,Udo,closed,,,\n",
        b"c7,1.5E+15,Udo,open,,,\n",
        b"c8,x-8,J\xfcrgen,open,,,\n",
        HEADER,
    ]
    code, words = check(HEADER + b"".join(rows), "--source")
    assert code == 0
    for line in (
        "new contact 4",
        "duplicate key in an earlier row or in the ledger 1",
        "rejected row encoding 1",
        "rejected row mangled_number 1",
        "rejected row null_marker 1",
        "filtered not selected by source.filter 1",
        "opt-out list values 2",
        "opt-out list contacts that it matches 1",
        "of the contacts expired already 1",
        "of the contacts person in an earlier row, or reached before 1",
        "of the contacts without external contact id 1",
        "irregular null markers, such as NULL 2",
        "irregular repeated headers, skipped 1",
        "not UTF-8 Windows-1252 1",
        "time zone Europe/Berlin 1",
        "time zone none 2",
        "time zone not a time zone 1",
        "column not used note 1",
        "all rows 9",
    ):
        assert line in words
    assert "secret" not in words
    assert "Bonn" not in words


def test_the_rows_are_read_only_if_that_was_asked_for(check):
    """Without --source the columns alone are checked; a path may follow it."""
    assert "all rows" not in check(HEADER)[1]
    assert "all rows 0" in check(HEADER, "--source", "contacts.csv")[1]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (b"", "the source has no rows: a run would send nothing"),
        (
            b",x-1,Ada,open,,,\nc2,1.5E+15,Ben,open,,,\nc3,x-3,Eva,done,,,\n",
            "0 of 3 rows would become a contact: a run would send nothing (no_id: 1",
        ),
    ],
    ids=["empty", "all bad"],
)
def test_a_source_with_which_a_run_would_send_nothing_ends_as_the_run(check, rows, words):
    """The report is shown as well, and the exit code is that of ``run --once``."""
    code, found = check(HEADER + rows, "--source", listed="# nobody\n")
    assert code == ExitCode.NO_ROWS
    assert words in found
    assert "all rows" in found


def test_a_campaign_that_has_begun_may_have_nothing_new(check, tmp_path):
    """An empty export is right then; one whose rows are all bad is not."""

    async def admit_one():
        async with await SqliteLedger.open(tmp_path / "ledger.db", "carts") as ledger:
            await ledger.admit(Batch([Contact("k", "c", "Hello")]), 0.0, 0)

    asyncio.run(admit_one())
    assert check(HEADER, "--source")[0] == 0
    assert check(HEADER + b",x-1,Ada,open,,,\n", "--source")[0] == ExitCode.NO_ROWS


def test_a_file_that_is_not_read_to_its_end_is_named(check):
    data = gzip.compress(HEADER + PEOPLE * 50)[:-9]
    code, words = check(data, "--source", listed="# nobody\n")
    assert code == 0
    assert "contacts.csv:" in words
    assert "the gzip content is cut short" in words


PEOPLE = "".join(f"c{n},x-{n},Ada,open,,,\n" for n in range(20)).encode()


@pytest.mark.parametrize(
    ("listed", "code", "expected"),
    [
        ("".join(f"x-{n}\n" for n in range(18)), 0, "contacts that it matches 18"),
        ("".join(f"x-{n}\n" for n in range(19)), 3, "matches 19 of the first 20 contacts"),
        ("Ada Lovelace\nGrace Hopper\n", 3, "no value looks like an id"),
        ("# nobody\n", 0, "contacts that it matches 0"),
    ],
)
def test_a_list_with_which_no_run_starts_is_an_error(check, listed, code, expected):
    """The report is shown as well; the words name the setting that permits it."""
    found, words = check(HEADER + PEOPLE, "--source", listed=listed)
    assert found == code
    assert expected in words
    assert "all rows 20" in words
    assert ("set rules.suppression_" in words) == (code == 3)


def test_a_list_that_shrank_since_the_last_run_is_an_error(check, tmp_path):
    """As a run finds it; the size in the last run stays as it is."""
    sizes, path = tmp_path / "ledger.db-lists.json", tmp_path / "optout.txt"
    LastSize(sizes, path, "carts").remember(500)
    before = sizes.read_bytes()
    code, words = check(HEADER)
    assert code == 3
    assert "has 2 values, and had 500" in words
    assert sizes.read_bytes() == before


def test_wrong_columns_are_an_error(check):
    """The exit code is that of a source, and the words have the line to write."""
    code, words = check(b"conversation_id,name,status,tz,valid_until\n")
    assert code == 3
    assert 'source.columns = { expires_at = "valid_until" }' in words


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [(b"J\xfcrgen", "Windows-1252"), (b"J\0", "UTF-16, or NUL characters"), (b"\x81", "unknown")],
)
def test_the_encoding_of_a_row(raw, encoding):
    """It is a guess, from the row's bytes."""
    assert probable_encoding(raw) == encoding
