"""A database that was restored is refused, and one whose replica has taken over is not."""

import asyncio
import shutil
import time
from contextlib import closing, suppress
from dataclasses import replace

import orjson
import pytest

from dispatcher.domain.contact import Contact
from dispatcher.ledgers.postgres import known_state
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.known_state import StateFile
from dispatcher.ledgers.postgres.operator_store import record_restored_database
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.registration import CopiedLedgerError
from dispatcher.ports import Batch, LedgerError, LedgerLockedError
from tests.support.postgres_ledger import address_of
from tests.support.servers.postgres import Cluster, cluster_folder, owner
from tests.support.servers.postgres_pair import PostgresPair
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1000.0


@pytest.fixture
def address(ledger_databases, tmp_path):
    address = replace(ledger_databases.create(), state_file=tmp_path / "state.json")
    yield address
    ledger_databases.drop(address)


async def admit(address, *keys, adopt=False):
    """Play a run that admits contacts, and return what it has adopted."""
    store = await PostgresStore.open(address, adopt=adopt)
    ledger = await store.campaign("a")
    for key in keys:
        await ledger.admit(Batch([Contact(key, key, "Hello")]), NOW, 0)
    await store.close()
    return store.adopted


async def refusal(address):
    with pytest.raises(CopiedLedgerError, match="--adopt") as error:
        await PostgresStore.open(address)
    return str(error.value)


async def is_adopted_once(address):
    """Whether one run with --adopt makes it a ledger that runs accept."""
    assert await admit(address, "adopted", adopt=True)
    return await admit(address, "later") is None


def execute(address, *statements):
    with closing(connect(address)) as connection:
        for statement in statements:
            connection.execute(statement)


TABLES_AS_DUMPED = (
    "CREATE TABLE dispatcher.dumped AS SELECT * FROM dispatcher.store",
    "DELETE FROM dispatcher.store",
    "INSERT INTO dispatcher.store SELECT * FROM dispatcher.dumped",
    "DROP TABLE dispatcher.dumped",
)
"""What loading the rows of a dump does to the one row that tells it."""


async def test_a_dump_that_is_loaded_into_the_same_database_is_refused(address):
    """Without any file on this machine, too."""
    address = replace(address, state_file=None)
    await admit(address, "one")
    execute(address, *TABLES_AS_DUMPED)
    assert "loaded from a dump" in await refusal(address)
    assert await is_adopted_once(address)


async def test_maintenance_of_the_server_is_no_restore(address):
    """Freezing and rewriting tables keeps who has written the row; so does the next version."""
    await admit(address, "one")
    execute(
        address,
        "VACUUM (FREEZE) dispatcher.store",
        "VACUUM (FULL) dispatcher.store",
        "CLUSTER dispatcher.store USING store_pkey",
    )
    assert await admit(address, "two") is None


class Snapshot:
    """A server of its own, whose data can be put back as they were."""

    def __init__(self, folder):
        self.cluster = Cluster(folder, "fsync=off")
        self.saved = folder / "saved"

    def save(self):
        self.cluster.kill()
        shutil.copytree(self.cluster.data, self.saved)
        self.cluster.start()

    def put_back(self):
        self.cluster.kill()
        shutil.rmtree(self.cluster.data)
        shutil.copytree(self.saved, self.cluster.data)
        if owned := owner():
            for path in (self.cluster.data, *self.cluster.data.rglob("*")):
                shutil.chown(path, owned["user"])
        self.cluster.data.chmod(0o700)
        self.cluster.start()


@pytest.fixture(scope="module")
def snapshot():
    with cluster_folder() as folder:
        made = Snapshot(folder)
        made.cluster.create()
        made.cluster.start()
        yield made
        made.cluster.stop()


async def test_a_snapshot_of_the_disk_that_is_put_back_is_refused(snapshot, tmp_path):
    """By what a run on this machine has committed since. Nothing in the server tells it."""
    name = snapshot.cluster.server.database().name
    address = replace(
        address_of(snapshot.cluster.server.port, name), state_file=tmp_path / "state.json"
    )
    await admit(address, "one")
    snapshot.save()
    assert await admit(address, "two") is None, "a crash of the server is no restore"
    snapshot.put_back()
    assert "an older state of itself" in await refusal(address)
    elsewhere = replace(address, state_file=tmp_path / "elsewhere.json")
    other_machine = orjson.loads(address.state_file.read_bytes())
    assert await is_adopted_once(address)
    elsewhere.state_file.write_bytes(orjson.dumps(other_machine))
    assert await admit(elsewhere, "three") is None, "another machine knows it from before"


async def test_a_ledger_that_is_gone_is_not_begun_again(address):
    """Everything would be sent again; also by a run that may make the tables."""
    await admit(address, "one")
    execute(address, "DROP SCHEMA dispatcher CASCADE")
    assert "an older state of itself" in await refusal(address)


async def test_a_state_from_before_an_adoption_is_older(address):
    """A restore to before the last restore: its era is not one that this machine knows."""
    await admit(address, "one")
    state = StateFile(address.state_file)
    state.write(state.read()._replace(era="0123456789abcdef"))
    assert "an older state of itself" in await refusal(address)
    execute(
        address,
        "UPDATE dispatcher.store SET earlier_eras = 'fedcba9876543210 0123456789abcdef', "
        "written_in = pg_current_xact_id()::text",
    )
    assert await admit(address, "two") is None


@pytest.mark.parametrize(
    ("change", "is_older"),
    [
        ({"group": 10**9}, True),
        ({"started": "1.5"}, True),
        ({"daemon": 10**9}, True),
        ({"daemon": 0}, True),
        ({"daemon": 0, "at": 5.0}, False),
        ({"location": "1/2", "group": 10**9}, False),
    ],
)
async def test_what_an_older_state_lacks(address, change, is_older):
    """A commit, or a run that is kept for 30 days. Another database is another matter."""
    await admit(address, "one")
    state = StateFile(address.state_file)
    state.write(state.read()._replace(**change))
    if is_older:
        assert "an older state of itself" in await refusal(address)
    else:
        assert await admit(address, "two") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"location": 1}', None])
async def test_a_file_that_cannot_be_read_knows_nothing(address, content, tmp_path):
    """It is written again; without a place for it a run goes on, too."""
    await admit(address, "one")
    if content is None:
        address = replace(address, state_file=tmp_path / "missing" / "state.json")
    else:
        address.state_file.write_bytes(content)
    assert await admit(address, "two") is None
    assert (StateFile(address.state_file).read() is None) is (content is None)


async def test_a_run_records_its_state_while_it_runs(address, monkeypatch):
    """So a run that is killed has left one."""
    monkeypatch.setattr(known_state, "RECORD_SECONDS", 0.01)
    store = await PostgresStore.open(address)
    state = StateFile(address.state_file)
    seen = set()
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if (found := state.read()) is not None:
            seen.add(found.group)
        if len(seen) > 2:
            break
    else:
        pytest.fail("nothing is recorded")
    await store.close()


async def test_a_loss_that_the_run_itself_reports_is_not_reported_again(address):
    """It has paused all campaigns; the next run is not refused, and finds the pause."""
    store = await PostgresStore.open(address)
    ledger = await store.campaign("a")
    await ledger.admit(Batch([Contact("one", "one", "Hello")]), NOW, 0)
    execute(
        address,
        "UPDATE dispatcher.daemon SET group_no = group_no - 2",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'dispatcher' AND pid <> pg_backend_pid()",
    )
    with pytest.raises(LedgerError, match="has lost"):
        await ledger.admit(Batch([Contact("two", "two", "Hello")]), NOW, 0)
    with suppress(LedgerError):
        await store.close()
    store = await PostgresStore.open(address)
    await store.close()


def backup_of(folder, pair, address, *settings):
    """Return a backup of a server, to be recovered to its own moment, and the address there."""
    backup = Cluster(folder, *settings)
    source = ["-h", "127.0.0.1", "-p", pair.primary.port, "-U", "dispatcher"]
    backup.run("pg_basebackup", "-D", backup.data, *source, "-X", "stream", "--checkpoint=fast")
    (backup.data / "recovery.signal").touch()
    if owned := owner():
        shutil.chown(backup.data / "recovery.signal", owned["user"])
    return backup, replace(
        address,
        url=address.url.replace(f":{pair.primary.port}/", f":{backup.server.port}/"),
    )


def wait_for_end_of_recovery(server):
    for _ in range(400):
        if not server.value("SELECT pg_is_in_recovery()"):
            return
        time.sleep(0.05)
    raise AssertionError("the server still recovers")


async def test_a_replica_that_takes_over_is_accepted_and_a_recovery_to_a_target_is_not():
    """Both begin a timeline, and all runs have ended. No machine knows the restored one."""
    with cluster_folder() as folder:
        pair = PostgresPair(folder, synchronous=True, settings=("fsync=off",))
        try:
            name = pair.primary.database().name
            address = address_of(pair.primary.port, name)
            state = folder / "state.json"
            await admit(replace(address, state_file=state), "one")
            (folder / "backup").mkdir()
            backup, restored = backup_of(
                folder / "backup", pair, address, "restore_command=false",
                "recovery_target=immediate", "recovery_target_action=promote",
                "synchronous_standby_names=", "fsync=off",
            )  # fmt: skip
            pair.kill()
            pair.promote()
            pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            pair.primary.execute("SELECT pg_reload_conf()")
            promoted = address_of(pair.primary.port, name, state_file=state)
            assert await admit(promoted, "two") is None
            backup.start()
            try:
                wait_for_end_of_recovery(backup.server)
                assert "recovery_target is set" in await refusal(restored)
                assert await is_adopted_once(restored)
            finally:
                backup.stop()
        finally:
            pair.stop()


async def test_an_operator_records_a_restore_that_nothing_tells(address):
    """Not while a run works on it."""
    store = await PostgresStore.open(address)
    await store.campaign("a")
    with pytest.raises(LedgerLockedError, match="works on it"):
        record_restored_database(address)
    await store.close()
    record_restored_database(address)
    assert "`dispatcher ledger restored` has recorded" in await refusal(address)
    assert await is_adopted_once(address)
