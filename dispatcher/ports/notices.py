"""Notices of a run for web servers, which stay in the store until they are taken."""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

NOTICE_SECONDS = 7 * 86_400.0
"""How long a notice is kept for a server that does not take it."""

Facts = Mapping[str, str | int | float]
"""What a notice has beside its event and its campaign."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a campaign's run. It has nothing of a contact.

    ``campaign`` is empty for what concerns all campaigns of a run. ``id`` stays the same however
    often the notice is posted: readers take each id once. ``at`` is in seconds since the epoch.
    """

    event: str
    campaign: str
    facts: Facts
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class NoticeLog(Protocol):
    """The notices in the store, in their order; those of each sink are its own."""

    async def begin_run(
        self, sink: str, end_notices: Sequence[Notice], now: float
    ) -> Sequence[Notice]:
        """Begin a run with a sink; return what it has not taken of earlier runs.

        ``ends`` are notices of the ends of this run if it is killed: the next run returns them,
        with its own beginning as their time, unless `add` replaces them. What is older than
        `NOTICE_SECONDS` is removed.
        """
        ...

    async def add(self, sink: str, notice: Notice) -> None:
        """Keep a notice until it is removed. One with the same id is replaced."""
        ...

    async def remove(self, sink: str, ids: Collection[str]) -> None:
        """Remove notices that were taken or given up."""
        ...
