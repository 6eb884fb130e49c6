"""Reading ahead: pages of a large ledger are fetched before the writer needs them.

A contact's key and its person stand at random places of their indexes. Of a ledger that the
machine does not hold in memory each costs a read of the disk, and the one thread that writes
would keep every commit waiting for it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar
from urllib.parse import quote

import orjson

from dispatcher.domain.contact import Contact
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import person_of
from dispatcher.ledgers.statements import SQL
from dispatcher.ledgers.write import claims
from dispatcher.ledgers.write.admission import known_keys
from dispatcher.ledgers.write.index_staging import LookupResult

T = TypeVar("T")
R = TypeVar("R")

READERS = 2
MIN_FILE_BYTES = 256 << 20
"""A smaller ledger is in memory anyway: its pages were written not long ago."""
_CACHE = "PRAGMA cache_size = 20"  # pages: each look-up is in order, and needs the way there alone


class ReadAhead:
    """Fetches what the writer is about to touch, in threads of its own.

    Whatever goes wrong here is left to the writer to meet and to tell.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-ahead")
        self._idle: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        for _ in range(READERS):
            self._idle.put(None)
        self._closed = False

    async def admission(
        self, campaign: int, contacts: Sequence[Contact], moves: int
    ) -> LookupResult | None:
        """Look the contacts' keys and people up, after the writer has moved rows ``moves`` times.

        None where the ledger is small or cannot be read, so that the writer has to look.
        """
        if not self._is_large():
            return None
        found = await self._shared(contacts, partial(_look_up, campaign=campaign, moves=moves))
        parts = [part for part in found if part is not None]
        return _joined(parts) if len(parts) == len(found) else None

    async def hindered(self, ids: Sequence[int]) -> dict[int, SendBlock]:
        """Return what `holding.hindered` says of claimed contacts, and fetch what intents write to.

        Nothing where the ledger cannot be read.
        """
        found = await self._shared(ids, claims.blocked_by)
        return {id_: why for part in found if part for id_, why in part.items()}

    async def _shared(
        self, items: Sequence[T], look: Callable[[sqlite3.Connection, Sequence[T]], R]
    ) -> list[R | None]:
        """Let each thread look a part of ``items`` up; None stands for what could not be read."""
        if self._closed or not items:
            return [None]
        loop = asyncio.get_running_loop()
        parts = [part for n in range(READERS) if (part := items[n::READERS])]
        return await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._read, look, part) for part in parts)
        )

    async def close(self) -> None:
        """End the threads and their connections. More than once does no harm."""
        self._closed = True
        await asyncio.shield(asyncio.to_thread(self._end))

    def _end(self) -> None:
        self._threads.shutdown()
        while not self._idle.empty():
            connection = self._idle.get()
            if connection is not None:
                connection.close()

    def _is_large(self) -> bool:
        try:
            return self._path.stat().st_size >= MIN_FILE_BYTES
        except OSError:
            return False

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro", uri=True, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            connection.execute(_CACHE)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(
        self, look: Callable[[sqlite3.Connection, Sequence[T]], R], items: Sequence[T]
    ) -> R | None:
        connection = self._idle.get()
        try:
            with suppress(sqlite3.Error, ValueError):  # a key may be no Unicode
                connection = connection or self._connect()
                return look(connection, items)
            return None
        finally:
            self._idle.put(connection)


def _look_up(
    connection: sqlite3.Connection, contacts: Sequence[Contact], campaign: int, moves: int
) -> LookupResult:
    keys = known_keys(connection, campaign, [each.key for each in contacts])
    known = (each.external_contact_id for each in contacts)
    listed = orjson.dumps([person_of(each) for each in known if each]).decode()
    (people,) = connection.execute(SQL["people_before"], (campaign, listed)).fetchone()
    found = orjson.loads(people)
    return LookupResult(
        moves,
        keys=keys,
        people=frozenset(person for person, lately, _ in found if not lately),
        reached=frozenset(person for person, _, ended in found if ended),
    )


def _joined(parts: Sequence[LookupResult]) -> LookupResult:
    return LookupResult(
        min(each.moves for each in parts),
        keys=frozenset[str]().union(*(each.keys for each in parts)),
        people=frozenset[str]().union(*(each.people for each in parts)),
        reached=frozenset[str]().union(*(each.reached for each in parts)),
    )
