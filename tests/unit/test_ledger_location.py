"""Where a ledger lives: a copy is refused, a volume that is mounted elsewhere is not."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dispatcher.ledgers import file_system, schema, state_recorder
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.location import LedgerLocation, difference, find_location
from dispatcher.ledgers.maintenance.backup import back_up
from dispatcher.ledgers.registration import CopiedLedgerError, OpenOptions, adopt_ledger
from dispatcher.ports import LedgerError

HERE = LedgerLocation("m1", "host-1", "/data/ledger.db", "vol-1", "77", "42", "1700000000000000001")


async def _nothing():
    """Take the place of the last record of a run that is killed."""


async def open_once(path, **options):
    """Open the ledger as a run does; return what was adopted."""
    ledger = await SqliteLedger.open(path, "c", options=OpenOptions(**options))
    await ledger.close()
    return ledger.adopted


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "m2", "host": "pod-b"},
        {"machine": "", "host": "pod-b", "path": "/mnt/ledger.db", "file_system": "78"},
        {"volume": "", "born": "", "machine": "m2", "host": "pod-b"},
        {"born": "", "file_system": "78"},
        {"path": "/data/renamed.db"},
        {"inode": "", "machine": "m2"},
        {"inode": "", "born": "", "machine": "m2", "host": "pod-b"},
    ],
    ids=["pod", "mounted elsewhere", "no creation time", "reboot", "renamed", "fuse", "fuse, pod"],
)
def test_the_same_file_elsewhere_is_no_copy(change):
    assert difference(HERE, replace(HERE, **change)) is None
    assert difference(replace(HERE, **change), HERE) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"born": "1700000000000000002"}, "created at another time"),
        ({"inode": "43"}, "inode"),
        ({"inode": "43", "born": ""}, "inode"),
        ({"volume": "vol-2"}, "another volume"),
        ({"file_system": "78", "path": "/snapshots/1/ledger.db"}, "snapshot"),
        ({"born": "", "file_system": "78", "machine": "m2"}, "another file system"),
        ({"inode": "", "born": "", "host": "b", "path": "/x"}, "another path"),
    ],
)
def test_what_shows_a_copy(change, words):
    assert words in difference(HERE, replace(HERE, **change))


def test_a_file_keeps_its_location_when_it_is_written_and_renamed(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    before = find_location(path)
    path.write_text("22")
    path.rename(tmp_path / "b")
    shutil.copy2(tmp_path / "b", path)
    assert difference(before, find_location(tmp_path / "b")) is None
    assert difference(before, find_location(path)) is not None


async def test_a_copied_file_is_refused_until_it_is_adopted(tmp_path):
    """The refusal says where the ledger was, and changes nothing."""
    path, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    assert await open_once(path) is None
    assert await open_once(path) is None
    shutil.copy2(path, copy)
    before = copy.read_bytes()
    for _ in range(2):
        with pytest.raises(CopiedLedgerError, match=rf"as {path}; .*--adopt"):
            await open_once(copy)
    assert copy.read_bytes() == before
    assert "ledger.db" in await open_once(copy, adopt=True)
    assert await open_once(copy) is None
    assert await open_once(path) is None


async def test_a_backup_is_a_copy_wherever_it_is_put(tmp_path):
    path, backup = tmp_path / "ledger.db", tmp_path / "backup.db"
    await open_once(path)
    back_up(path, backup)
    shutil.copyfile(backup, path)  # the same file, with the backup's content
    for copy in (backup, path):
        with pytest.raises(CopiedLedgerError, match="it is a backup, made at 20"):
            await open_once(copy)
    assert "backup" in adopt_ledger(path, 9.0)
    assert adopt_ledger(path, 9.0) is None
    assert await open_once(path) is None


async def test_an_older_state_in_the_place_of_a_newer_one_is_refused(tmp_path):
    """The lock file beside it knows of the later runs."""
    path, kept = tmp_path / "ledger.db", tmp_path / "kept"
    await open_once(path)
    shutil.copyfile(path, kept)
    await open_once(path)
    shutil.copyfile(kept, path)
    with pytest.raises(CopiedLedgerError, match=r"older state .* later state"):
        await open_once(path)
    assert await open_once(path, adopt=True)
    assert await open_once(path) is None


async def written_since_a_copy(path, kept):
    """Return an open ledger that has changed since it was copied to ``kept``."""
    await open_once(path)
    ledger = await SqliteLedger.open(path, "c")
    with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(kept)) as copy:
        reader.backup(copy)
    await ledger.pause(1.0)
    return ledger


def put_in_place(kept, path):
    """Put a copy in the place of a ledger that is closed."""
    for rest in path.parent.glob(f"{path.name}-*"):
        rest.unlink()
    shutil.copyfile(kept, path)


@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_state_of_the_same_run_in_the_place_of_a_later_one_is_refused(
    tmp_path, monkeypatch, is_killed
):
    """The lock file knows of the end of a run, and of what was written in between."""
    monkeypatch.setattr(state_recorder, "ADVANCE_SECONDS", 0.01)
    path, kept = tmp_path / "ledger.db", tmp_path / "kept"
    ledger = await written_since_a_copy(path, kept)
    if is_killed:
        await asyncio.sleep(0.1)
        monkeypatch.setattr(ledger._recorder, "record", _nothing)
    await ledger.close()
    put_in_place(kept, path)
    with pytest.raises(CopiedLedgerError, match="older state"):
        await open_once(path)


async def test_the_end_of_a_run_records_what_a_cancelled_task_has_counted(tmp_path):
    """A run that ends while a later state is counted leaves its number in the lock file."""
    path, kept = tmp_path / "ledger.db", tmp_path / "kept"
    ledger = await written_since_a_copy(path, kept)
    counting = asyncio.ensure_future(ledger._recorder.record())
    await asyncio.sleep(0)
    counting.cancel()
    await ledger.close()
    put_in_place(kept, path)
    with pytest.raises(CopiedLedgerError, match="older state"):
        await open_once(path)


async def test_a_state_from_before_the_record_is_refused_in_the_place_of_a_later_one(
    tmp_path, monkeypatch
):
    """Its contacts may have got a message since; an empty one is a new ledger."""
    path, kept = tmp_path / "ledger.db", tmp_path / "kept"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        with closing(schema.open_for_writing(path)) as connection:
            connection.execute("INSERT INTO campaign (name, created_at) VALUES ('c', 0)")
            connection.execute(
                "INSERT INTO contact (campaign_id, status, due, key, conversation_id, text_sha256)"
                " VALUES (1, 'ready', 0, 'k', 'c', x'00')"
            )
    shutil.copyfile(path, kept)
    assert await open_once(path) is None
    shutil.copyfile(kept, path)
    for _ in range(2):
        with pytest.raises(CopiedLedgerError, match="no record"):
            await open_once(path)
    assert await open_once(path, adopt=True)
    assert await open_once(path) is None


async def test_another_ledger_in_the_place_of_one_is_no_copy(tmp_path):
    """Its lock file was left by another ledger, which says nothing about this one."""
    path = tmp_path / "ledger.db"
    for _ in range(3):
        await open_once(path)
    path.unlink()
    assert await open_once(path) is None


async def test_a_ledger_of_an_earlier_version_is_adopted_silently_once(tmp_path, monkeypatch):
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        schema.open_for_writing(path).close()
    copy = tmp_path / "copy.db"
    shutil.copyfile(path, copy)
    assert await open_once(copy) is None
    shutil.copyfile(copy, tmp_path / "second.db")
    with pytest.raises(CopiedLedgerError):
        await open_once(tmp_path / "second.db")


@pytest.mark.parametrize("kind", [0x6969, 0xFE534D42, 0x01021997, 0x65735546])
async def test_a_network_file_system_is_refused_until_it_is_allowed(tmp_path, monkeypatch, kind):
    """Before anything is written there."""
    monkeypatch.setattr(file_system, "_is_on_block_device", lambda _path: False)
    monkeypatch.setattr(
        file_system, "_statfs", lambda _path: kind.to_bytes(8, "little") + bytes(504)
    )
    with pytest.raises(LedgerError, match=r"network file system .*allow_network_filesystem = true"):
        await open_once(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []
    await open_once(tmp_path / "ledger.db", allow_network_filesystem=True)


def test_the_kind_of_a_file_system_is_that_of_statfs(tmp_path):
    """A file that does not exist is judged by its folder."""
    kind = file_system.file_system_kind(tmp_path / "none")
    assert kind == file_system.file_system_kind(tmp_path)
    if (proc := Path("/proc/self")).is_dir():
        assert file_system.file_system_kind(proc) == 0x9FA0


def test_fuse_on_a_block_device_is_local(tmp_path, monkeypatch):
    """Such as NTFS; what it is on is the major number of its device."""
    monkeypatch.setattr(
        file_system, "_statfs", lambda _path: (0x65735546).to_bytes(8, "little") + bytes(504)
    )
    monkeypatch.setattr(os, "major", lambda _device: 8)
    assert file_system.network_file_system(tmp_path) is None
    monkeypatch.setattr(os, "major", lambda _device: 0)
    assert file_system.network_file_system(tmp_path) == "FUSE"
