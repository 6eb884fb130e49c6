"""The ledger's file: whose it is, who may read it, and what is said where it cannot be used."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Open
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers import schema
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.schema import APPLICATION_ID, MIGRATIONS
from dispatcher.ports import Batch, Intent, LedgerError, Settlement
from dispatcher.ports.sink import SinkPlace
from dispatcher.sources.files.file_place import FilePlace

NOW = 1000.0
SECRETS = [b"secret-text", b"secret-subject", b"secret-address", b"secret-learnt"]


async def refused(path):
    """Return the words of the refusal to open ``path``."""
    with pytest.raises(LedgerError) as caught:
        await SqliteLedger.open(path, "c")
    return str(caught.value)


@pytest.fixture
def unprivileged():
    """Be a user whom permissions hold, in a folder of its own."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    folder = Path(tempfile.mkdtemp())
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)
    os.seteuid(before)


async def test_the_files_are_the_owners_alone(tmp_path):
    """Ledger, write-ahead log, shared memory and lock have mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        async with await SqliteLedger.open(tmp_path / "ledger.db", "c"):
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    names = ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"]
    assert modes == dict.fromkeys(names, 0o600)


async def test_a_second_daemon_gets_the_pid_of_the_first(tmp_path):
    """The second one is refused with path, pid and advice; the first works on."""
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path, "c") as ledger:
        words = await refused(path)
        (tmp_path / "link.db").symlink_to(path)
        assert "another dispatcher" in await refused(tmp_path / "link.db")
        assert (await ledger.totals()).rows == 0
    assert str(path) in words
    assert f"pid {os.getpid()}" in words
    assert "stop it, or give this run a ledger of its own" in words
    await (await SqliteLedger.open(path, "c")).close()


def test_a_killed_daemon_holds_nothing(tmp_path):
    """The kernel frees the lock of a process that was killed, and its writes are there."""
    path = tmp_path / "ledger.db"
    program = (
        "import asyncio, os, signal, sys\n"
        "from dispatcher.domain.contact import Contact\n"
        "from dispatcher.ledgers.ledger import SqliteLedger\n"
        "from dispatcher.ports import Batch\n"
        "async def main():\n"
        "    ledger = await SqliteLedger.open(sys.argv[1], 'c')\n"
        "    await ledger.admit(Batch([Contact('key', 'conversation', 'text')]), 1.0, 1)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program, path], check=False, timeout=60)

    async def look():
        async with await SqliteLedger.open(path, "c") as ledger:
            assert (await ledger.totals()).by_status == {(Status.CLAIMED, None): 1}
            assert (await ledger.recover()).released == 1

    asyncio.run(look())


async def test_a_foreign_database_is_refused_and_left_alone(tmp_path):
    """Another program's database is not touched, not even its journal mode."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    before = path.read_bytes()
    assert "belongs to something else" in await refused(path)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path):
    """A text file stays as it is."""
    path = tmp_path / "contacts.csv"
    path.write_text("conversation_id,text\n" * 500)
    assert "not a SQLite database" in await refused(path)
    assert path.read_text() == "conversation_id,text\n" * 500


async def test_a_newer_schema_is_refused(tmp_path):
    """An older dispatcher does not write into a newer one's ledger."""
    path = tmp_path / "ledger.db"
    await (await SqliteLedger.open(path, "c")).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    words = await refused(path)
    assert f"newer dispatcher (schema 99, this one knows {len(MIGRATIONS)})" in words


async def test_a_migration_that_fails_leaves_the_old_version(tmp_path, monkeypatch):
    """A step to a next version is all or nothing, and the ledger can be opened afterwards."""
    path = tmp_path / "ledger.db"
    await (await SqliteLedger.open(path, "c")).close()
    scripts = {"next.sql": "CREATE TABLE half (id); CREATE TABLE contact (id);"}
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, "next.sql"))
        patch.setattr(schema, "script", lambda name: scripts[name])
        assert "already exists" in await refused(path)
    await (await SqliteLedger.open(path, "c")).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert (
            connection.execute("SELECT name FROM sqlite_schema WHERE name = 'half'").fetchall()
            == []
        )


async def test_a_migration_brings_an_older_ledger_up(tmp_path, monkeypatch):
    """A ledger of the version before is carried over, with all that is in it."""
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path, "c") as ledger:
        await ledger.admit(Batch([Contact("key", "conversation", "text")]), NOW, 0)
    real = schema.script
    scripts = {"next.sql": "ALTER TABLE contact ADD COLUMN zone TEXT;"}
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, "next.sql"))
    monkeypatch.setattr(schema, "script", lambda name: scripts.get(name) or real(name))
    async with await SqliteLedger.open(path, "c") as ledger:
        assert (await ledger.totals()).rows == 1


async def test_places_of_files_outlive_the_migration_to_streams(tmp_path, monkeypatch):
    """A file that an older version read in part is read on from the same byte and line."""
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:5])
        with closing(schema.open_for_writing(path)) as connection:
            connection.execute("INSERT INTO campaign (name, created_at) VALUES ('c', 0)")
            rows = [("fa", "a.csv", 120, 7, 0), ("fb", "b.csv", 9, 1, 1)]
            connection.executemany("INSERT INTO position VALUES (1, ?, ?, ?, ?, ?)", rows)
    async with await SqliteLedger.open(path, "c") as ledger:
        streams = await ledger.streams()
    assert streams == {
        "fa": FilePlace(120, 7).to_stream("a.csv", "fa", done=False),
        "fb": FilePlace(9, 1).to_stream("b.csv", "fb", done=True),
    }


async def test_places_of_sinks_outlive_the_migration_to_notices(tmp_path, monkeypatch):
    """What has gone out to a sink by an older version does not go out again."""
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:8])
        with closing(schema.open_for_writing(path)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (8,)
            connection.execute("INSERT INTO sink VALUES ('out', 'rows', 'token', '7', '9')")
    async with await SqliteLedger.open(path, "c") as ledger:
        place = await ledger.lineage_log().sink_place("out", "rows")
        assert place == SinkPlace("token", "7", "9")
        assert await ledger.notice_log().begin_run("ops", [], NOW) == []


async def test_a_directory_that_is_missing(tmp_path):
    """The message names the file and what to do about it."""
    words = await refused(tmp_path / "missing" / "ledger.db")
    assert "No such file or directory" in words
    assert "ledger.path" in words


async def test_a_path_that_is_a_directory(tmp_path):
    """A folder is no ledger."""
    (tmp_path / "ledger.db").mkdir()
    assert "Is a directory" in await refused(tmp_path / "ledger.db")


async def test_a_directory_that_cannot_be_written(unprivileged):
    """Without the right to write there the run does not start."""
    unprivileged.chmod(0o555)
    words = await refused(unprivileged / "ledger.db")
    assert "Permission denied" in words
    assert "writable for this user" in words


async def test_a_ledger_that_cannot_be_written(unprivileged):
    """A ledger whose file is read-only is refused, and works again once it is not."""
    path = unprivileged / "ledger.db"
    await (await SqliteLedger.open(path, "c")).close()
    path.chmod(0o400)
    assert "cannot be opened for writing (Permission denied)" in await refused(path)
    path.chmod(0o600)
    await (await SqliteLedger.open(path, "c")).close()


async def test_a_damaged_ledger_is_reported(tmp_path):
    """Pages overwritten with noise: a clear word on the first use that meets them."""
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path, "c") as ledger:
        rows = [Contact(f"key-{n}", "conversation", "text " * 50) for n in range(500)]
        await ledger.admit(Batch(rows), NOW, 0)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    assert "the file is damaged; keep a copy of it" in await refused(path)


async def test_an_old_sqlite_is_refused(tmp_path, monkeypatch):
    """A Python whose SQLite lacks the JSON operators is refused before any file is made."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    assert "3.38 or newer is needed" in await refused(tmp_path / "ledger.db")
    assert not (tmp_path / "ledger.db").exists()


async def test_what_names_a_person_is_gone_after_the_settlement(tmp_path):
    """No byte of message, subject or address is left in the files; the text's hash is."""
    path = tmp_path / "ledger.db"
    person = Contact(
        "key",
        "conversation",
        "secret-text " + "x" * 1900 + " secret-text",
        address="secret-address",
        subject="secret-subject",
    )
    rest = [Contact(f"key-{n}", "conversation", f"kept-{n}") for n in range(50)]
    async with await SqliteLedger.open(path, "c") as ledger:
        (claim,) = (await ledger.admit(Batch([person, *rest]), NOW, 1)).claims
        learnt = Progress(target=Target("secret-learnt", is_guest_id=False), sends=1)
        decision = Open(Target("secret-address", is_guest_id=False), "external", "conversation")
        await ledger.intend(Intent(claim.id, Step.OPEN, decision, NOW, learnt))
        assert any(secret in everything(tmp_path) for secret in SECRETS)
        await ledger.settle(
            Settlement(
                claim.id,
                Status.OPENED,
                Reason.DELIVERED,
                NOW,
                learnt,
                relation=Relation.LINKED,
                conversation_id="new",
                message_id="message",
            )
        )
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        left = everything(tmp_path)
        assert [secret for secret in SECRETS if secret in left] == []
        assert b"kept-49" in left
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT length(text_sha256), progress FROM contact").fetchone()
    assert row == (32, '{"sends":1}')


def everything(folder):
    return b"".join(file.read_bytes() for file in folder.iterdir())
