"""Sinks of a ledger that was restored: their targets have more than the ledger, and go on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.registration import OpenOptions
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import Batch, Intent, Settlement
from dispatcher.ports.sink import SinkError
from dispatcher.sinks.ranges import RangeSender
from tests.contract.test_sink_contract import KINDS, make_case
from tests.support.servers.shared import on

NOW = 1000.0
WITH_CURSOR = ("sql postgresql", "sql sqlite", "snowflake")
"""Sinks that keep a cursor of their own."""


@pytest.fixture(params=["file", pytest.param("database", marks=on("postgres_server"))])
def place(request, tmp_path):
    """The place of a ledger, and how one is copied with all that is in it."""
    if request.param == "file":
        made = iter(range(9))

        def copied(path):
            return Path(shutil.copy(path, tmp_path / f"copy-{next(made)}.db"))

        yield tmp_path / "ledger.db", copied
        return
    databases = request.getfixturevalue("ledger_databases")
    made = [databases.create()]

    def cloned(address):
        made.append(databases.clone(address))
        return made[-1]

    yield made[0], cloned
    for address in made:
        databases.drop(address)


async def opened(place, *, adopt=False):
    if isinstance(place, Path):
        return await SqliteStore.open(place, "c", options=OpenOptions(adopt=adopt))
    return await PostgresStore.open(place, adopt=adopt)


async def deliver(store, *numbers):
    """Let the platform take the messages of contacts."""
    ledger = await store.campaign("c")
    for number in numbers:
        contact = Contact(f"key-{number}", f"talk-{number}", "Hello")
        (claim,) = (await ledger.admit(Batch([contact]), NOW, 1)).claims
        await ledger.intend(Intent(claim.id, Step.NOTIFY, Notify("c"), NOW, claim.progress))
        done = Settlement(claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, NEW, Relation.NOTIFIED)
        await ledger.settle(replace(done, conversation_id=f"talk-{number}"))


async def send_all(store, case, *, rows_per_range=2):
    sender = RangeSender("out", store.lineage_log(), case.target(), (), rows_per_range)
    try:
        while await sender.send_next("rows"):
            pass
    finally:
        await sender.close()


def keys(case):
    return {key for key, _ in case.keys()}  # noqa: SIM118 - a case is no mapping


@pytest.mark.parametrize("sent_before", [pytest.param(0, marks=pytest.mark.long), 3])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_sink_goes_on_although_its_target_is_ahead(place, kind, sent_before, request):
    """The target has all rows of the backup, and of what was sent after it and after the restore.

    Numbers of rows are used again in a file: a cursor of the target that looks like one of the
    ledger's has no meaning after the restore.
    """
    case, (ledger, copied) = make_case(kind, request), place
    store = await opened(ledger)
    await deliver(store, 1, 2, 3)
    if sent_before:
        await send_all(store, case)
    await store.close()
    backup = copied(ledger)
    store = await opened(ledger)
    await deliver(store, 4, 5)
    await send_all(store, case)
    await store.close()
    store = await opened(backup, adopt=True)
    assert store.adopted
    await deliver(store, 6, 7)
    await send_all(store, case)
    await deliver(store, 8)
    await send_all(store, case)
    await store.close()
    assert keys(case) == {f"key-{number}" for number in range(1, 9)}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0] in WITH_CURSOR])
async def test_a_target_that_has_lost_its_rows_is_still_refused(place, kind, request):
    """After the first range of the restored ledger has arrived, a new target lacks rows."""
    (ledger, copied), case = place, make_case(kind, request)
    store = await opened(ledger)
    await deliver(store, 1, 2)
    await send_all(store, case)
    await store.close()
    store = await opened(copied(ledger), adopt=True)
    await deliver(store, 3)
    await send_all(store, case)
    await deliver(store, 4)
    if kind == "sql sqlite":
        case.path.unlink()
    else:
        case = make_case(kind, request)
    with pytest.raises(SinkError, match="was changed or restored"):
        await send_all(store, case)
    await store.close()
