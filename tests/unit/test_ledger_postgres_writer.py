"""The writer of a ledger in PostgreSQL: server and event loop work at the same time."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from dispatcher.ledgers.postgres import writer as writers
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.writer import MAX_CHANGES, MIN_HALVED, PostgresWriter

SECONDS = 10.0
"""By far longer than what is waited for takes."""


class Session:
    """A session that holds the writer until all that a test wants to write is queued."""

    def __init__(self):
        self.availability = SimpleNamespace(failure=None, close=lambda: None)
        self.tenure = SimpleNamespace(lost=lambda: None)
        self.groups = []
        self.go = threading.Event()
        self.holds = threading.Event()
        self.works_on = lambda _ids: None

    def renew(self):
        self.holds.set()
        assert self.go.wait(SECONDS)
        return 0

    def apply(self, _payload, ids, on_sent):
        self.groups.append(list(ids))
        on_sent()
        self.works_on(list(ids))

    def leave(self):
        pass

    def close(self):
        pass


@pytest.fixture
def session():
    return Session()


@pytest.fixture
async def writer(session, monkeypatch):
    monkeypatch.setattr(writers, "POLL_SECONDS", 0.0)
    writer = PostgresWriter(PostgresAddress("postgresql://127.0.0.1/none"), session, lambda: None)
    assert await asyncio.to_thread(session.holds.wait, SECONDS)
    yield writer
    session.go.set()
    await writer.close()


async def written(writer, session, count, *, on_first=lambda _: None):
    """Write so many changes that the thread finds together; return the sizes of their groups."""
    futures = [writer.change(("release", number, 0.0)) for number in range(count)]
    futures[0].add_done_callback(on_first)
    await asyncio.sleep(0)
    session.go.set()
    await asyncio.wait_for(asyncio.gather(*futures), SECONDS)
    return [len(ids) for ids in session.groups]


async def test_callers_of_one_half_go_on_while_the_server_works_on_the_other(writer, session):
    gone_on = threading.Event()

    def work(ids):
        if 0 not in ids:
            assert gone_on.wait(SECONDS)

    session.works_on = work
    sizes = await written(writer, session, MIN_HALVED, on_first=lambda _: gone_on.set())
    assert sizes == [MIN_HALVED // 2, MIN_HALVED // 2]


async def test_few_changes_are_one_group(writer, session):
    assert await written(writer, session, MIN_HALVED - 1) == [MIN_HALVED - 1]


async def test_no_group_has_more_changes_than_the_limit(writer, session):
    sizes = await written(writer, session, 3 * MAX_CHANGES)
    assert sizes == [MAX_CHANGES] * 3
