"""Maintenance of a ledger: pruning, erasure, integrity checks and backups."""

import itertools
import re
import sqlite3
import stat
import threading
from contextlib import closing, contextmanager

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Open
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.exclusive import exclusive_connection
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.maintenance import backup, batches, erase, integrity, prune
from dispatcher.ledgers.maintenance.batches import truncate_wal
from dispatcher.ports import Batch, Intent, LedgerError, Settlement
from tests.support.ledger_reader import LedgerReader

OLD = 1000.0
NOW = OLD + 1_000_000.0
CUT = OLD + 500_000.0


def person(number, **more):
    return Contact(
        f"key-{number}",
        f"conversation-{number}",
        f"text-{number}",
        external_contact_id=f"external-{number}",
        address=f"address-{number}",
        subject=f"subject-{number}",
        attributes={"name": f"name-{number}"},
        **more,
    )


async def deliver(ledger, claim, at=OLD):
    who = claim.contact
    progress = Progress(target=Target(who.address, is_guest_id=False), sends=1,
                    external_contact_id=who.external_contact_id)  # fmt: skip
    await ledger.intend(
        Intent(
            claim.id, Step.OPEN, Open(progress.target, who.external_contact_id, None), at, progress
        )
    )
    await ledger.settle(
        Settlement(
            claim.id, Status.OPENED, Reason.DELIVERED, at, progress, Relation.LINKED,
            f"new-{who.key}", f"message-{who.key}", who.external_contact_id, "ended", at,
            f"correlation-{who.key}",
        )
    )  # fmt: skip


async def settle(ledger, claim, status, reason, at=OLD):
    await ledger.settle(Settlement(claim.id, status, reason, at, NEW, words=f"w-{claim.id}"))


def findings(path):
    return {item.name: item.count for item in integrity.check_integrity(path) if item.count}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
async def filled(path):
    """Old ones: delivered 0, rejected 1, parked 2; new: delivered 3, ready 4 and 5; bad rows."""
    async with await SqliteLedger.open(path, "c", now=lambda: OLD) as ledger:
        bad = RejectedRow("f.csv", 7, "no_id", "about external-0", b"x,external-0,secret\n")
        batch = Batch([person(n) for n in range(6)], [bad])
        claims = (await ledger.admit(batch, OLD, 4)).claims
        await deliver(ledger, claims[0])
        await settle(ledger, claims[1], Status.REJECTED, Reason.REFUSED)
        await settle(ledger, claims[2], Status.PARKED, Reason.IDENTITY)
        await deliver(ledger, claims[3], at=NOW)
        more = RejectedRow("f.csv", 9, "no_id", "", b"external-00,other\n")
        await ledger.admit(Batch([], [more]), NOW, 0)
    return path


def pruned(path, **more):
    found, _ = prune.prune_ledger(path, prune.PruneOrder(CUT, **more))
    return found


def rows(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_pruning_removes_what_is_old_and_final(filled):
    """Old final contacts, their lineage and rejected rows go; parked, new and open ones stay."""
    assert pruned(filled) == prune.Pruned(contacts=2, lineage=1, rejected=1)
    assert rows(filled, "SELECT key FROM contact ORDER BY id") == [
        ("key-2",), ("key-3",), ("key-4",), ("key-5",),
    ]  # fmt: skip
    assert rows(filled, "SELECT COUNT(*) FROM lineage") == [(1,)]
    assert b"name-0" not in filled.read_bytes()
    assert findings(filled) == {}


async def test_the_sums_stay_true_after_pruning(filled):
    """The totals stay as they were; parked contacts are removed only on request."""
    async with await SqliteLedger.open(filled, "c") as ledger:
        before = await ledger.totals()
    assert pruned(filled, parked=True).contacts == 3
    async with await SqliteLedger.open(filled, "c") as ledger:
        assert await ledger.totals() == before
    assert findings(filled) == {}


async def test_nobody_becomes_new_by_pruning(filled):
    """The same rows again are duplicates, each once; another key is new."""
    pruned(filled)
    async with await SqliteLedger.open(filled, "c") as ledger:
        again = await ledger.admit(Batch([person(n) for n in (0, 1, 2, 0, 9)]), NOW, 9)
        assert (again.admitted, again.duplicates) == (1, 4)
        assert [claim.contact.key for claim in again.claims] == ["key-9"]
    async with await SqliteLedger.open(filled, "other") as ledger:
        assert (await ledger.admit(Batch([person(0)]), NOW, 9)).admitted == 1
    assert findings(filled) == {}


async def test_who_was_reached_outlives_its_contact(filled):
    """What the caps ask for is there after pruning, also from lineage that nobody marked."""
    pruned(filled)
    assert rows(filled, "SELECT contact_id, campaign_id, at FROM reached WHERE at = 1000") == [
        (1, 1, OLD)
    ]


async def test_ids_are_never_used_twice(path):
    """After everything was pruned, new contacts and lineage have higher numbers than ever."""
    async with await SqliteLedger.open(path, "c") as ledger:
        for claim in (await ledger.admit(Batch([person(n) for n in range(3)]), OLD, 3)).claims:
            await deliver(ledger, claim)
    assert pruned(path).contacts == 2
    async with await SqliteLedger.open(path, "c") as ledger:
        (claim,) = (await ledger.admit(Batch([person(7)]), NOW, 1)).claims
        await deliver(ledger, claim)
    assert claim.id == 4
    with LedgerReader(path, "c") as reader:
        assert [row.id for row in reader.lineage(after=3)] == [4]


async def test_a_trial_changes_nothing(filled):
    """--dry-run prints the same figures, also while a daemon runs, and changes nothing."""
    async with await SqliteLedger.open(filled, "c"):
        command = ["ledger", "prune", "--ledger", str(filled), "--older-than", "1d", "--dry-run"]
        result = CliRunner().invoke(cli, command)
        assert "2 contacts, 1 lineage row and 1 rejected row would be removed" in result.stdout
    assert rows(filled, "SELECT COUNT(*) FROM contact") == [(6,)]


async def test_only_the_campaign_that_is_named(filled):
    """Other campaigns keep what they have."""
    async with await SqliteLedger.open(filled, "other") as ledger:
        (claim,) = (await ledger.admit(Batch([person(0)]), OLD, 1)).claims
        await deliver(ledger, claim)
    assert pruned(filled, campaign="other").contacts == 0  # the newest row of all stays
    assert pruned(filled, campaign="c").contacts == 2
    assert rows(filled, "SELECT key FROM contact WHERE campaign_id = 2") == [("key-0",)]


async def test_pruned_and_erased_contacts_stay_in_the_totals(filled):
    """A run that opens the ledger afterwards counts them as before."""
    assert pruned(filled).contacts == 2
    assert forgotten(filled, "key-4").contacts == 1
    async with await SqliteLedger.open(filled, "c") as ledger:
        totals = await ledger.totals()
    assert totals.by_status[Status.SKIPPED, Reason.FORGOTTEN] == 1
    assert sum(totals.by_status.values()) == totals.admitted == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prune", "--older-than", "3x"], "write 90d, 12w or 36h"),
        (["prune", "--older-than", "2h"], "may still be needed to resolve a send in doubt"),
        (["prune", "--older-than", "9d", "--campaign", "no"], "campaign 'no' is not in it"),
        (["forget"], "name either CONTACT or --external-contact ID"),
        (["forget", "nobody"], "nothing in it names 'nobody'; check the key or the id"),
    ],
)
async def test_mistakes_are_named(filled, arguments, words):
    """What is wrong and what to do, and nothing is changed."""
    result = CliRunner().invoke(cli, ["ledger", *arguments, "--ledger", str(filled)])
    assert result.exit_code in (2, 4)
    assert words in result.stderr


@pytest.mark.parametrize("command", [["prune", "--older-than", "90d"], ["forget", "key-0"]])
async def test_a_running_dispatcher_keeps_its_ledger(filled, command):
    """The commands that write say who has the ledger and what to do."""
    async with await SqliteLedger.open(filled, "c"):
        result = CliRunner().invoke(cli, ["ledger", *command, "--ledger", str(filled)])
    assert result.exit_code == 4
    assert "uses it; stop it, run `dispatcher ledger" in result.stderr


@pytest.mark.parametrize("command", [["prune", "--older-than", "90d"], ["forget", "key-0"]])
def test_no_ledger_is_made(tmp_path, command):
    """A path that is wrong is named, and nothing appears there."""
    missing = tmp_path / "missing.db"
    result = CliRunner().invoke(cli, ["ledger", *command, "--ledger", str(missing)])
    assert (result.exit_code, list(tmp_path.iterdir())) == (4, [])
    assert "there is no such file" in result.stderr


async def test_pruning_makes_room(filled):
    """The command prints how much is free, and --vacuum gives it back."""
    async with await SqliteLedger.open(filled, "c") as ledger:
        claims = (await ledger.admit(Batch([person(n) for n in range(50, 900)]), OLD, 900)).claims
        for claim in claims:
            await settle(ledger, claim, Status.REJECTED, Reason.REFUSED)
    size = filled.stat().st_size
    command = ["ledger", "prune", "--older-than", "1d", "--vacuum", "--ledger", str(filled)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    assert "0.0 MiB of them are free" in result.stdout
    assert filled.stat().st_size < size / 2
    assert findings(filled) == {}


def forgotten(path, name, **more):
    report = erase.erase_person(path, erase.ErasureTarget(name, **more), NOW)
    assert truncate_wal(path)
    return report


@pytest.mark.parametrize(
    ("name", "is_external"),
    [("key-0", False), ("conversation-0", False), ("new-key-0", False), ("external-0", True)],
)
async def test_no_byte_of_a_forgotten_person_is_left(filled, name, is_external):
    """By key, either conversation, or external id: nothing that names them is in the files."""
    async with await SqliteLedger.open(filled, "other", now=lambda: OLD) as ledger:
        same = Contact("other-key", "new-key-0", "text-0", attributes={"name": "name-0"})
        await ledger.admit(Batch([same]), OLD, 0)
    report = forgotten(filled, name, is_external=is_external)
    assert (report.contacts, report.rejected, report.refused) == (2, 1, ())
    left = b"".join(item.read_bytes() for item in filled.parent.iterdir())
    secrets = ["key-0", "conversation-0", "external-0,", "text-0", "address-0", "subject-0",
               "name-0", "message-key-0", "correlation-key-0", "other-key"]  # fmt: skip
    assert [item for item in secrets if item.encode() in left] == []
    assert b"name-3" in left
    assert b"external-00,other" in left
    assert findings(filled) == {}
    assert forgotten(filled, "external-0", is_external=True).known_before


async def test_an_external_id_is_no_key(filled):
    """A person whose data is there is not reported as erased, though the hash is known."""
    report = forgotten(filled, "external-3")
    assert (report.contacts, report.known_before) == (0, False)
    assert forgotten(filled, "external-3", is_external=True).contacts == 1


async def test_what_stays_of_a_forgotten_person(filled):
    """Delivered stays delivered, unsent and parked are skipped; hashes and times stay."""
    for number in (0, 2, 4):
        assert forgotten(filled, f"key-{number}").contacts == 1
    assert rows(filled, "SELECT status, reason FROM contact WHERE key LIKE 'forgotten:%'") == [
        ("opened", "delivered"), ("skipped", "forgotten"), ("skipped", "forgotten"),
    ]  # fmt: skip
    assert rows(filled, "SELECT COUNT(*) FROM reached WHERE contact_id = 1") == [(1,)]
    assert findings(filled) == {}
    async with await SqliteLedger.open(filled, "c") as ledger:
        again = await ledger.admit(Batch([person(n) for n in (0, 2, 4)]), NOW, 9)
        assert (again.admitted, again.duplicates) == (0, 3)
        assert [item.contact.key for item in await ledger.claim(9, NOW)] == ["key-5"]
        totals = await ledger.totals()
    assert totals.by_status[Status.SKIPPED, Reason.FORGOTTEN] == 2
    assert pruned(filled).contacts == 3
    assert findings(filled) == {}


async def test_a_send_under_way_is_not_forgotten(filled):
    """What is sending or in doubt is kept, with the reason; the rest of the person goes."""
    async with await SqliteLedger.open(filled, "other", now=lambda: OLD) as ledger:
        (claim,) = (await ledger.admit(Batch([person(0)]), OLD, 1)).claims
        decision = Open(Target("guest", is_guest_id=True), "external-0", "conversation-0")
        await ledger.intend(Intent(claim.id, Step.OPEN, decision, OLD, NEW))
    command = ["ledger", "forget", "--external-contact", "external-0", "--ledger", str(filled)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 4
    assert "1 contact and 1 rejected row were erased" in result.stdout
    assert "of campaign other was kept: a message to it is being sent" in result.stderr


async def test_a_key_of_two_people(filled):
    """A key that means another person in another campaign is not guessed at."""
    async with await SqliteLedger.open(filled, "other", now=lambda: OLD) as ledger:
        other = Contact("key-4", "another", "text", external_contact_id="another")
        await ledger.admit(Batch([other]), OLD, 0)
    with pytest.raises(LedgerError, match="names more than one person"):
        forgotten(filled, "key-4")
    assert forgotten(filled, "key-4", campaign="c").contacts == 1
    assert rows(filled, "SELECT text FROM contact WHERE conversation_id = 'another'") == [("text",)]


async def test_a_copy_while_a_run_goes_on(filled, tmp_path):
    """The copy is of one moment, verified, its owner's alone, and no copy is overwritten."""
    target = tmp_path / "backup.db"
    steps = []
    async with await SqliteLedger.open(filled, "c") as ledger:
        claims = (await ledger.admit(Batch([person(n) for n in range(99, 4000)]), NOW, 9)).claims

        def meanwhile(done, whole):
            if not steps:
                worker = threading.Thread(target=write, args=(filled,))
                worker.start()
                worker.join()
            steps.append((done, whole))

        assert backup.back_up(filled, target, report=meanwhile) == []
        await deliver(ledger, claims[0])
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert rows(filled, "SELECT name FROM campaign") == [("c",), ("meanwhile",)]
    assert rows(target, "SELECT name FROM campaign") == [("c",)]
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "backup.db", "ledger.db", "ledger.db.lock",
    ]  # fmt: skip
    with pytest.raises(LedgerError, match="it exists already; name another file, or add --force"):
        backup.back_up(filled, target)
    backup.back_up(filled, target, overwrite=True)
    assert rows(target, "SELECT name FROM campaign") == [("c",), ("meanwhile",)]


def write(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO campaign (name, created_at) VALUES ('meanwhile', 0)")


async def test_a_damaged_ledger_is_not_taken_for_a_backup(filled, tmp_path):
    """The copy is verified before it takes its name; the one of before stays."""
    target = tmp_path / "backup.db"
    target.write_text("yesterday's")
    async with await SqliteLedger.open(filled, "c") as ledger:
        await ledger.admit(Batch([person(n) for n in range(99, 2000)]), NOW, 9)
    content = bytearray(filled.read_bytes())
    content[-9 * 4096 : -8 * 4096] = b"\xa5" * 4096
    filled.write_bytes(content)
    command = ["ledger", "backup", str(target), "--force", "--ledger", str(filled)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 4
    assert "its copy is damaged; run `dispatcher ledger verify`" in result.stderr
    assert target.read_text() == "yesterday's"
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


async def test_the_ledger_is_no_place_for_its_copy(filled):
    """Not even with --force."""
    result = CliRunner().invoke(
        cli, ["ledger", "backup", str(filled), "--force", "--ledger", str(filled)]
    )
    assert result.exit_code == 4
    assert "this is the ledger itself" in result.stderr


DAMAGE = {
    "status_unknown": "UPDATE contact SET status = 'lost' WHERE id = 5",
    "reason_unknown": "UPDATE contact SET reason = 'why' WHERE id = 1",
    "final_without_reason": "UPDATE contact SET settled_at = NULL WHERE id = 1",
    "ready_without_due": "UPDATE contact SET due = NULL WHERE id = 5",
    "final_with_due": "UPDATE contact SET due = 1 WHERE id = 1",
    "doubt_without_look_at": "UPDATE contact SET look_at = 1 WHERE id = 1",
    "sending_without_intent": "UPDATE contact SET status = 'sending', due = NULL WHERE id = 5",
    "text_kept": "UPDATE contact SET address = 'street' WHERE id = 1",
    "text_missing": "UPDATE contact SET text = NULL WHERE id = 5",
    "json_unreadable": "UPDATE contact SET attributes = '{' WHERE id = 5",
    "lineage_missing": "DELETE FROM lineage WHERE contact_id = 1",
    "lineage_alone": "UPDATE lineage SET contact_id = 2 WHERE contact_id = 1",
    "message_twice": "UPDATE lineage SET message_id = 'one'",
    "person_not_reached": "UPDATE contact SET person = 'hash' WHERE id = 1",
    "key_twice": "UPDATE contact SET lately = 0, key = (SELECT key FROM contact WHERE id = 1)"
    " WHERE id = 5",
    "settled_sums_differ": "UPDATE settled_sum SET contacts = 9",
    "admitted_differs": "DELETE FROM contact WHERE id = 5",
    "rows_differ": "UPDATE campaign SET rows_read = 99",
    "rejected_sums_differ": "UPDATE rejected_sum SET row_count = 0",
}


@pytest.mark.parametrize("name", DAMAGE)
async def test_every_violation_is_found(filled, name):
    """For each thing that must not be: it is not in a sound ledger, and found in a wrong one."""
    assert findings(filled) == {}
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute(DAMAGE[name])
    assert name in findings(filled)


def test_nothing_is_looked_for_without_an_example():
    """The examples above are all that verify looks for."""
    assert set(DAMAGE) == set(integrity.RULES)


async def test_verify_tells_and_exits(filled):
    """Exit code 0 and one line a check; 4 and what to do if something is wrong."""
    sound = CliRunner().invoke(cli, ["ledger", "verify", "--ledger", str(filled)])
    assert (sound.exit_code, sound.stdout.count("ok    ")) == (0, len(DAMAGE) + 1)
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute(DAMAGE["lineage_missing"])
    wrong = CliRunner().invoke(cli, ["ledger", "verify", "--quick", "--ledger", str(filled)])
    assert wrong.exit_code == 4
    assert "FAIL  delivered contacts without a lineage row: 1; stop the run" in wrong.stdout


async def test_verify_finds_a_damaged_page(filled):
    """Damage is reported with what to do, and no other check is run."""
    async with await SqliteLedger.open(filled, "c") as ledger:
        await ledger.admit(Batch([person(n) for n in range(99, 2000)]), NOW, 9)
    content = bytearray(filled.read_bytes())
    content[-9 * 4096 : -8 * 4096] = b"\xa5" * 4096
    filled.write_bytes(content)
    result = CliRunner().invoke(cli, ["ledger", "verify", "--ledger", str(filled)])
    assert result.exit_code == 4
    assert re.search(
        r"places where the file is damaged: \d+; keep a copy of the file", result.stdout
    )
    assert "ok" not in result.stdout


class KilledError(Exception):
    pass


class MortalConnection:
    """A connection whose process is killed before a certain statement."""

    def __init__(self, connection, statements):
        self.connection = connection
        self.left = statements

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, *arguments):
        if not self.left:
            raise KilledError
        self.left -= 1
        return self.connection.execute(*arguments)


def prune_all(path):
    prune.prune_ledger(path, prune.PruneOrder(CUT))


def erase_one(path):
    erase.erase_person(path, erase.ErasureTarget("external-0", is_external=True), NOW)


@pytest.mark.parametrize("work", [prune_all, erase_one])
async def test_work_that_is_killed_leaves_a_whole_ledger(filled, monkeypatch, work):
    """Killed before any of its statements, the ledger is sound, and a second run completes it."""
    monkeypatch.setattr(batches, "SPAN", 1)
    whole = filled.read_bytes()
    for statements in itertools.count(1):
        filled.write_bytes(whole)
        try:
            with monkeypatch.context() as patch:
                for module in (prune, erase):
                    patch.setattr(module, "exclusive_connection", mortal(statements))
                work(filled)
        except KilledError:
            assert findings(filled) == {}
        else:
            break
        work(filled)
        assert rows(filled, "SELECT COUNT(*) FROM contact WHERE key = 'key-0'") == [(0,)]
        left = "SELECT COUNT(*) FROM lineage WHERE contact_id = 1 AND message_id > ''"
        assert rows(filled, left) == [(0,)]
        assert findings(filled) == {}
    assert statements > 15


def mortal(statements):
    @contextmanager
    def opened(path):
        with exclusive_connection(path) as connection:
            yield MortalConnection(connection, statements)

    return opened
