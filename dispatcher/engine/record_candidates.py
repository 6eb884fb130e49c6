"""Conversations whose records may show that the platform's analytics have caught up."""

from collections.abc import Collection, Sequence
from itertools import islice

from dispatcher.domain.evidence import NEVER_SHOWN, newest_record
from dispatcher.domain.ids import canonical_id
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.ports import Clock, Ledger

POOL = 300
"""Conversations of each kind that are considered."""
NEWEST = 5
"""The newest of them, which are part of every choice."""
LIVELY = 10
"""Conversations that are asked for again because they had the newest records."""


class RecordCandidates:
    """Chooses conversations that the ledger knows, for platforms that find records by ids alone.

    Which of them has a new record is not known: a customer may answer, or a session may end. So
    the newest are asked for each time, and those whose last record was the newest; the others in
    turn.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lively: list[str] = []
        self._offset = 0

    async def choose(
        self, room: int, without: Collection[str], others: Sequence[str] = ()
    ) -> list[str]:
        """Return up to ``room`` conversations, none of them in ``without``; last, ``others``."""
        if room <= 0:
            return []
        known = await self._ledger.recent_conversations(self._clock.time(), POOL)
        newest, rest = known[:NEWEST], known[NEWEST:]
        turn = self._offset % len(rest) if rest else 0
        order = [*newest, *self._lively, *rest[turn:], *rest[:turn], *others]
        named = {canonical_id(id_) for id_ in without}
        unique = dict.fromkeys(canonical_id(id_) for id_ in order)
        chosen = list(islice((id_ for id_ in unique if id_ not in named), room))
        self._offset += max(1, len(chosen) - NEWEST - len(self._lively))
        return chosen

    def learn(self, shown: Sequence[PastConversation], until: float) -> None:
        """Keep the conversations that have the newest records, none of them after ``until``."""
        ages = {past.id: newest_record([past], until) for past in shown}
        newest = sorted(ages, key=lambda id_: -ages[id_])
        self._lively = [id_ for id_ in newest if ages[id_] > NEVER_SHOWN][:LIVELY]
