"""Changes of single contacts, which are the same for each kind of ledger."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.progress import Progress
from dispatcher.ledgers.codec import ChangeRecord, deferral_change, doubt_change, settlement_change
from dispatcher.ports import Settlement


class ChangeWriter(Protocol):
    """What commits changes."""

    def change(self, record: ChangeRecord) -> "asyncio.Future[Any]":
        """Change one contact; see `HandOver.change`."""
        ...


class ContactChanges:
    """The part of a ledger that changes single contacts, except for intents; see `Ledger`."""

    _writer: ChangeWriter
    _now: Callable[[], float]

    async def release(self, ids: Iterable[int], due: Mapping[int, float] | None = None) -> None:
        """Make claimed contacts ready, due at the time that ``due`` has for them, else now.

        Raises:
            LedgerError: one of them is not claimed; the others are released nevertheless.

        """
        now, planned = self._now(), due or {}
        changes = [self._writer.change(["release", id_, planned.get(id_, now)]) for id_ in ids]
        answers = await asyncio.gather(*changes, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def retract(self, id: int) -> None:  # noqa: A002 - the port's name
        """Turn a sending contact back into a claimed one. The platform did not take the message."""
        await self._writer.change(["retract", id])

    async def settle(self, settlement: Settlement) -> None:
        """Write the final status and the lineage in one transaction.

        The message, its subject and the address are removed; the message's SHA-256 stays. A
        parked or rejected contact keeps all of them, because it can be replayed.
        """
        await self._writer.change(settlement_change(settlement))

    async def defer(
        self,
        id: int,  # noqa: A002 - as above
        due: float,
        progress: Progress,
        history: Sequence[HistoryEntry] = (),
    ) -> None:
        """Make a contact ready; it can be claimed from ``due`` on."""
        await self._writer.change(deferral_change(id, due, progress, history))

    async def mark_in_doubt(
        self,
        id: int,  # noqa: A002 - as above
        look_at: float,
        progress: Progress,
        history: Sequence[HistoryEntry] = (),
    ) -> None:
        """Turn a sending contact into one in doubt; its look back is due at ``look_at``."""
        await self._writer.change(doubt_change(id, look_at, progress, history))

    async def schedule_look_back(self, id: int, at: float) -> None:  # noqa: A002 - as above
        """Set the time when the next look back for a contact in doubt is due."""
        await self._writer.change(["look_again", id, at])
