"""The places of a pool of connections, without a network."""

import asyncio
from collections import deque

import pytest

from dispatcher.platforms.http_pool import ConnectionPool


class Connection:
    """A connection that is usable until it is closed."""

    is_usable = True

    def close(self):
        self.is_usable = False

    abort = close


class Connector:
    """Makes no connection."""

    async def connect(self, *_):
        raise OSError("refused")


async def full_pool():
    """Return a pool of one place, the connection that has it, and what the pool keeps."""
    pool, kept, connection = ConnectionPool(Connector(), 1, 5.0), deque(), Connection()
    kept.append((connection, asyncio.get_running_loop().time()))
    assert pool.take(kept) is connection
    return pool, connection, kept


async def waiting_for(pool, kept):
    task = asyncio.create_task(pool.open(kept, None))
    await asyncio.sleep(0)
    return task


async def test_a_place_is_handed_on():
    pool, connection, kept = await full_pool()
    waiting = await waiting_for(pool, kept)
    assert pool.take(kept) is None
    pool.give_back(kept, connection)
    assert pool.take(kept) is None, "the place belongs to the one that waits"
    assert await waiting is connection
    pool.close()


@pytest.mark.parametrize("handed_first", [False, True])
async def test_who_is_cancelled_leaves_the_place_to_the_next(handed_first):
    pool, connection, kept = await full_pool()
    first, second = await waiting_for(pool, kept), await waiting_for(pool, kept)
    if not handed_first:
        first.cancel()
    pool.give_back(kept, connection)
    first.cancel()
    assert await second is connection
    with pytest.raises(asyncio.CancelledError):
        await first
    pool.give_back(kept, connection)
    assert pool.take(kept) is connection
    pool.close()


async def test_a_connection_that_cannot_be_made_leaves_its_place():
    pool, connection, kept = await full_pool()
    pool.discard(connection)
    for _ in range(3):
        with pytest.raises(OSError, match="refused"):
            await pool.open(kept, None)


async def test_a_connection_that_is_not_usable_any_more_is_passed_over():
    pool, connection, kept = await full_pool()
    pool.give_back(kept, connection)
    connection.close()
    assert pool.take(kept) is None
    assert not kept
    pool.close()
