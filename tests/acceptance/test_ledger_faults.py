"""What can be wrong with a ledger: the words that the user sees, and no message after the fault."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from dispatcher.ledgers.schema import APPLICATION_ID, MIGRATIONS
from dispatcher.ledgers.statements import script
from tests.support import forked_process
from tests.support.broken_environment import (
    FEW_PAGES,
    LIMITED,
    NOBODY,
    UNPRIVILEGED,
    assert_no_message_unknown,
    fill,
    run_with,
)
from tests.support.forked_process import clean_environment
from tests.support.ledgers import of_a_file
from tests.support.scenario_runner import assert_nobody_twice_nobody_missing, play

pytestmark = of_a_file("the faults of a server are in tests/integration/test_postgres_faults.py")
COUNT = 400
WORKERS = 64
QUIET = {"telemetry.log_level": "error", "engine.workers": WORKERS}
WORLD = """
[rate]
allowed = 4000
window_seconds = 2.0
[latency.default]
kind = "fixed"
ms = 5
[world.shares]
active = 1
ended = 1
"""
PAGE = 4096
NOISE = b"\xa5" * PAGE


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "world.toml"
    scenario.write_text(WORLD)
    with play(tmp_path, scenario, COUNT, QUIET) as each:
        yield each


def assert_ends(done, words):
    """Exit code 4, exactly one line that says what is wrong and what to do, no traceback."""
    assert done.returncode == 4, done.stderr
    assert done.stderr.splitlines() == [f"dispatcher: ledger {words}"]


def assert_next_run_finishes(played):
    """Once the fault is gone, the next run sends to everybody who is left, and to nobody twice.

    What the fault caught between its intent and its end may need longer to be told of.
    """
    done = played.run("--wait-limit", "1")
    assert done.returncode in (0, 10), done.stderr
    assert_nobody_twice_nobody_missing(played)
    ends = played.status_counts()
    doubted = ends.pop(("in_doubt", None), 0)
    assert set(ends) <= {("notified", "delivered"), ("opened", "delivered")}
    assert doubted <= WORKERS
    assert (doubted > 0) is (done.returncode == 10)


def test_a_file_may_not_grow(played):
    """A limit for the size of files, met in mid-run."""
    done = run_with(played, LIMITED.format(bytes=700_000))
    assert_ends(
        done,
        f"{played.ledger}: the disk refuses to read or write; check its space, its limits and "
        "its health, and start again",
    )
    assert played.sandbox.effects(), "the fault came before the first message"
    assert_no_message_unknown(played, WORKERS)
    assert_next_run_finishes(played)


def test_the_disk_is_full(played):
    """No page is left for what is to be written, in mid-run."""
    assert played.run("--limit", "20").returncode == 0
    before = len(played.sandbox.effects())
    pages = played.ledger.stat().st_size // PAGE
    done = run_with(played, FEW_PAGES.format(pages=pages + 4))
    assert_ends(done, f"{played.ledger}: the disk is full; free some space and start again")
    assert before < len(played.sandbox.effects()) < COUNT, "the fault did not come in mid-run"
    assert_no_message_unknown(played, WORKERS)
    assert_next_run_finishes(played)


@pytest.fixture
def unprivileged(played):
    """The same play in a folder that a user without privileges may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    played.contacts = Path(shutil.copy(played.contacts, folder))
    played.contacts.chmod(0o644)
    played.folder = folder
    played.settings["telemetry.log_file"] = ""
    yield played
    folder.chmod(0o700)
    shutil.rmtree(folder)


def give_away(played):
    """Let the files belong to whom the command runs as; without privileges they do already."""
    if os.geteuid() != 0:
        return
    for each in [played.folder, *played.folder.iterdir()]:
        shutil.chown(each, NOBODY, NOBODY)


def test_a_file_that_is_read_only(unprivileged):
    """The ledger may be read and not written: no run begins."""
    asyncio.run(fill(unprivileged.ledger, unprivileged.campaign, 2))
    give_away(unprivileged)
    unprivileged.ledger.chmod(0o400)
    done = run_with(unprivileged, UNPRIVILEGED.format(user=NOBODY))
    assert_ends(
        done,
        f"{unprivileged.ledger}: it cannot be opened for writing (Permission denied); check that "
        "it is a file this user may write, or set ledger.path to another one",
    )
    assert unprivileged.sandbox.effects() == []


@pytest.mark.parametrize("locked_before", [False, True])
def test_a_directory_that_is_read_only(unprivileged, locked_before):
    """Nothing can be made beside the ledger: no run begins, whether or not the lock is there."""
    asyncio.run(fill(unprivileged.ledger, unprivileged.campaign, 2))
    lock = unprivileged.folder / "ledger.db.lock"
    if not locked_before:
        lock.unlink()
    give_away(unprivileged)
    unprivileged.folder.chmod(0o555)
    done = run_with(unprivileged, UNPRIVILEGED.format(user=NOBODY))
    words = (
        "the file or its directory is read-only; make both writable for this user, or set "
        "ledger.path to a place that is"
        if locked_before
        else f"its lock file {lock} cannot be opened (Permission denied); make the directory and "
        "the file writable for this user, or set ledger.path to a place that is"
    )
    assert_ends(done, f"{unprivileged.ledger}: {words}")
    assert unprivileged.sandbox.effects() == []


def test_pages_that_are_damaged_at_the_start(played):
    """Noise in the file: the run does not begin, and nothing is sent."""
    asyncio.run(fill(played.ledger, played.campaign, 2000, text="Hello " * 20))
    damage(played.ledger)
    done = run_with(played, LIMITED.format(bytes=1 << 30))
    assert_ends(
        done,
        f"{played.ledger}: the file is damaged; keep a copy of it, and restore the last backup",
    )
    assert played.sandbox.effects() == []


def test_pages_that_are_damaged_in_mid_run(played):
    """Noise comes into the file while it is used: the run ends at the first page that shows it."""
    asyncio.run(fill(played.ledger, played.campaign, 8000, text="Hello " * 300))
    process = played.start("--once")
    played.sandbox.wait_for_effects(50)
    sound = damage(played.ledger)
    _, err = process.communicate(timeout=60)
    done = subprocess.CompletedProcess([], process.returncode, "", err)
    assert_ends(
        done,
        f"{played.ledger}: the file is damaged; keep a copy of it, and restore the last backup",
    )
    repair(played.ledger, sound)
    assert_no_message_unknown(played, WORKERS)


def damage(path):
    """Overwrite all pages but the first few; return the file as it was."""
    sound = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(4 * PAGE)
        file.write(NOISE * (len(sound) // PAGE - 4))
    return sound


def repair(path, sound):
    """Put back the pages that are still noise; later ones were written by the run."""
    now = path.read_bytes()
    with path.open("r+b") as file:
        for start in range(0, len(sound), PAGE):
            if now[start : start + PAGE] == NOISE:
                file.seek(start)
                file.write(sound[start : start + PAGE])


def test_a_ledger_of_a_newer_version(played):
    """It is left alone, and nothing is sent."""
    asyncio.run(fill(played.ledger, played.campaign, 2))
    with closing(sqlite3.connect(played.ledger)) as connection:
        connection.execute("PRAGMA user_version = 99")
    done = played.run()
    assert_ends(
        done,
        f"{played.ledger}: it was written by a newer dispatcher (schema 99, this one knows "
        f"{len(MIGRATIONS)}); "
        "install that one, or set ledger.path to another file",
    )
    assert played.sandbox.effects() == []


KILLED = """
import os, signal, sys
from pathlib import Path
from dispatcher.ledgers import schema
left = 500
def person_hash(external_contact_id):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return schema_person_hash(external_contact_id)
schema_person_hash, schema.person_hash = schema.person_hash, person_hash
schema.open_for_writing(Path(sys.argv[1]))
"""


def test_a_migration_that_is_killed(played):
    """In the middle of it the ledger is of the old version; the next run completes it."""
    first_version(played.ledger, played.campaign, played.rows())
    done = forked_process.run(["-c", KILLED, str(played.ledger)], clean_environment())
    assert done.returncode == -signal.SIGKILL
    assert version(played.ledger) == 1
    assert played.run().returncode == 0
    assert version(played.ledger) == len(MIGRATIONS)
    got = {each["previousConversationId"] or each["conversationId"]
           for each in played.sandbox.effects()}  # fmt: skip
    half = set(list(played.rows())[: COUNT // 2])
    assert not got & half, "who was settled in the old version got another message"
    assert got == set(played.rows()) - half


def version(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def first_version(path, campaign, rows):
    """Make a ledger as the first version had it, in which half of the contacts are delivered."""
    half = list(rows)[: COUNT // 2]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.executescript(script("schema.sql"))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            "INSERT INTO campaign (id, name, created_at, rows_read, admitted)"
            " VALUES (1, ?, 0, ?, ?)",
            (campaign, len(half) + 800, len(half) + 800),
        )
        keys = [*half, *(f"older-{number}" for number in range(800))]
        for number, key in enumerate(keys, 1):
            connection.execute(
                "INSERT INTO contact (id, campaign_id, status, key, conversation_id, text_sha256)"
                " VALUES (?, 1, 'claimed', ?, ?, x'00')",
                (number, key, key),
            )
            connection.execute(
                "INSERT INTO lineage (contact_id, relation, external_contact_id, sent_at,"
                " correlation_id) VALUES (?, 'notified', ?, 1, '')",
                (number, f"person-{number}"),
            )
        connection.execute(
            "UPDATE contact SET status = 'notified', reason = 'delivered', settled_at = 1"
        )
        connection.commit()
