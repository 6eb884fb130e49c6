"""``dispatcher ledger copy``: which ledgers its options name."""

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from dispatcher.cli.commands import ledger_copy
from dispatcher.ports import LedgerError
from dispatcher.ports.copying import Copied, Prepared

URL = "postgresql://me@db.example.com/dispatcher?sslmode=verify-full"


@pytest.fixture
def copies(monkeypatch, tmp_path):
    """The calls, with what they are to return."""
    monkeypatch.chdir(tmp_path)
    called = []

    def copy(source, target, report):
        called.append((source, target))
        report((1, 2), (0, 4))
        rows = {"contact": 1_000, "lineage": 1, "stream": 2}
        return Copied(rows, Prepared(3, 0, 1), 61.0, 500, was_complete=False, last_cursor="8")

    monkeypatch.setattr(ledger_copy, "copy_ledger", copy)
    monkeypatch.setattr(ledger_copy, "undo_copy", lambda *places: called.append(places))
    return called


def call(*arguments):
    return CliRunner().invoke(cli, ["ledger", "copy", *arguments])


def test_two_places(copies):
    """The report has what a person needs next, and no secret."""
    done = call("--from", "a.db", "--to", URL, "--password-variable", "PW")
    assert done.exit_code == 0, done.output
    ((source, target),) = copies
    assert (str(source.file), target.settings.url) == ("a.db", URL)
    assert target.settings.password_variable == "PW"
    assert done.stdout == (
        "3 contacts that an ended run had claimed became ready.\n"
        "1 contact in doubt besides another one of the same conversation or person became "
        "parked.\n"
        "Ledger a.db has moved to postgresql://me@db.example.com/dispatcher: 1,000 contacts, "
        "1 lineage row, 1,003 rows in all, 500 of them by an earlier command, in 1:01 min. "
        "All rows were read again and are equal.\n"
        "A reader of `dispatcher lineage export --since` that has read all rows goes on from "
        "cursor 8.\n"
        "Runs refuse the old ledger from now on; set ledger.url to the new one.\n"
    )


@pytest.mark.parametrize("named", [False, True])
def test_one_place_is_that_of_the_configuration(copies, tmp_path, named):
    """With its password; also that of the folder, which need not be named."""
    name = "other.toml" if named else "dispatcher.toml"
    (tmp_path / name).write_text(f'[ledger]\nurl = "{URL}"\npassword_file = "pw"\n')
    config = ["--config", name] if named else []
    done = call("--to", "b.db", *config)
    assert done.exit_code == 0, done.output
    assert "set ledger.path to the new one" in done.stdout
    assert call("--from", "b.db", *config).exit_code == 0
    (there, back), (back_again, there_again) = copies
    assert there.settings.url == there_again.settings.url == URL
    assert there.settings.password_file == "pw"
    assert str(back.file) == str(back_again.file) == "b.db"


def test_undo_takes_the_same_places(copies):
    done = call("--from", "a.db", "--to", URL, "--undo")
    assert done.stdout == "Ledger a.db can be used again.\n"
    assert call("--from", "a.db", "--to", URL, "--undo", "--lost").exit_code == 0
    assert [target and target.settings.url for _, target in copies] == [URL, None]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the ledgers with --from and --to"),
        (["--from", "a.db"], "name --to, or a configuration with --config"),
        (["--to", "a.db"], "name --from, or a configuration with --config"),
        (["--from", "a.db", "--to", "b.db", "--config", "c"], "leave --from or --to out"),
        (["--from", "a.db", "--to", URL, "--lost"], "--lost is for --undo"),
        (["--from", "a.db", "--to", "postgresql://me:pw1@db/x"], "has a password"),
    ],
)
def test_what_is_not_clear_is_a_mistake_in_the_command(copies, arguments, words):
    done = call(*arguments)
    assert (done.exit_code, words in done.output) == (2, True), done.output
    assert "pw1" not in done.output
    assert not copies


@pytest.mark.parametrize("places", [("a.db", "b.db"), (URL, f"{URL}&a=b")])
def test_two_ledgers_of_one_kind_are_left_to_other_tools(places):
    source, target = places
    done = call("--from", source, "--to", target)
    assert done.exit_code == LedgerError.exit_code
    assert "of the same kind" in done.output
