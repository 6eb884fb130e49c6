"""The ledger with a span for each write about a traced contact."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import SendBlock, Status
from dispatcher.ports import InDoubtContact, Intent, Ledger, Settlement
from dispatcher.telemetry.traces.contact_trace import Attributes, ContactTrace

_FAILED = (Status.PARKED, Status.REJECTED)
"""Statuses that make a contact's span an error: the message did not reach the person."""
DEFERRED, IN_DOUBT = "deferred", "in_doubt"
"""Values of ``dispatcher.status`` for contacts that are not final."""


class TracedContacts(Protocol):
    """Finds and ends the traces of the contacts of one campaign."""

    def find(self, contact_id: int) -> ContactTrace | None:
        """Return the trace of a contact; None if it has none now."""
        ...

    def resume(self, contact_id: int) -> ContactTrace | None:
        """Return the trace of a contact; begin one if a sampled contact in doubt has none."""
        ...

    def leave(self, trace: ContactTrace, attributes: Attributes, *, failed: bool = False) -> None:
        """Note how a contact leaves."""
        ...

    def remember_doubt(self, trace: ContactTrace, progress: Progress) -> None:
        """Remember the span of a send in doubt."""
        ...

    def forget_doubt(self, contact_id: int) -> None:
        """Forget a contact that is in doubt no more."""
        ...

    def note_due(self, due: Sequence[InDoubtContact]) -> None:
        """Note for which contacts the next look back may be."""
        ...


class TracedLedger:
    """A ledger that adds a span for each write about a traced contact.

    A call about another contact is the ledger's own.
    """

    def __init__(self, ledger: Ledger, traces: TracedContacts) -> None:
        self._ledger = ledger
        self._traces = traces
        self.streams = ledger.streams
        self.admit = ledger.admit
        self.claim = ledger.claim
        self.claim_early = ledger.claim_early
        self.release = ledger.release
        self.backlog = ledger.backlog
        self.overview = ledger.overview
        self.earlier_waits = ledger.earlier_waits
        self.totals = ledger.totals
        self.paused = ledger.paused
        self.pause = ledger.pause
        self.resume = ledger.resume
        self.look_back_times = ledger.look_back_times
        self.known_effects = ledger.known_effects
        self.recent_conversations = ledger.recent_conversations
        self.witnesses = ledger.witnesses

    def intend(self, intent: Intent) -> Coroutine[Any, Any, SendBlock | None]:
        """Commit an intent; the span says what blocked it."""
        trace = self._traces.find(intent.id)
        call = self._ledger.intend(intent)
        return call if trace is None else self._intend(trace, intent, call)

    def retract(self, id: int) -> Coroutine[Any, Any, None]:  # noqa: A002 - the port's name
        """Take an intent back."""
        trace, call = self._traces.find(id), self._ledger.retract(id)
        return call if trace is None else trace.measure("retract", call, {})

    def settle(self, settlement: Settlement) -> Coroutine[Any, Any, None]:
        """Write a final status, with which the contact's span ends."""
        trace, call = self._traces.resume(settlement.id), self._ledger.settle(settlement)
        return call if trace is None else self._settle(trace, settlement, call)

    def defer(
        self, id: int, due: float, progress: Progress,  # noqa: A002 - the port's name
        history: Sequence[HistoryEntry] = (),
    ) -> Coroutine[Any, Any, None]:  # fmt: skip
        """Put a contact back, with which its span ends; the event names the reason."""
        trace, call = self._traces.resume(id), self._ledger.defer(id, due, progress, history)
        return call if trace is None else self._leave(trace, "defer", DEFERRED, call)

    def mark_in_doubt(
        self, id: int, look_at: float, progress: Progress,  # noqa: A002 - the port's name
        history: Sequence[HistoryEntry] = (),
    ) -> Coroutine[Any, Any, None]:  # fmt: skip
        """Leave a contact in doubt, with which its span ends; look backs continue it."""
        trace = self._traces.find(id)
        call = self._ledger.mark_in_doubt(id, look_at, progress, history)
        if trace is None:
            return call
        self._traces.remember_doubt(trace, progress)
        return self._leave(trace, "mark_in_doubt", IN_DOUBT, call, forget=False)

    async def due_in_doubt(self, limit: int, now: float) -> Sequence[InDoubtContact]:
        """Return the contacts whose look back is due."""
        due = await self._ledger.due_in_doubt(limit, now)
        self._traces.note_due(due)
        return due

    def schedule_look_back(self, id: int, at: float) -> Coroutine[Any, Any, None]:  # noqa: A002 - the port's name
        """Set when the next look back is due; a look back without a result ends."""
        trace, call = self._traces.find(id), self._ledger.schedule_look_back(id, at)
        if trace is None:
            return call
        return self._leave(trace, "schedule_look_back", IN_DOUBT, call, forget=False)

    async def _intend(
        self, trace: ContactTrace, intent: Intent, call: Coroutine[Any, Any, SendBlock | None]
    ) -> SendBlock | None:
        attributes = {"dispatcher.endpoint": intent.step.value}
        block = await trace.measure("intent", call, attributes)
        if block is not None:
            trace.span.add_event("intent.blocked", {"dispatcher.block": block.value})
        return block

    async def _settle(
        self, trace: ContactTrace, settlement: Settlement, call: Coroutine[Any, Any, None]
    ) -> None:
        attributes = settled_attributes(settlement)
        await trace.measure("settle", call, attributes)
        self._traces.forget_doubt(trace.id)
        self._traces.leave(trace, attributes, failed=settlement.status in _FAILED)

    async def _leave(
        self, trace: ContactTrace, name: str, status: str, call: Coroutine[Any, Any, None],
        *, forget: bool = True,
    ) -> None:  # fmt: skip
        attributes = {"dispatcher.status": status}
        await trace.measure(name, call, attributes)
        if forget:
            self._traces.forget_doubt(trace.id)
        self._traces.leave(trace, attributes)


def settled_attributes(settlement: Settlement) -> Mapping[str, str]:
    """Return what a final contact's span has: ids, but no text and no words of the platform."""
    found = {
        "dispatcher.status": settlement.status.value,
        "dispatcher.reason": settlement.reason.value,
        "dispatcher.relation": settlement.relation.value if settlement.relation else None,
        "dispatcher.conversation_id": settlement.conversation_id,
        "dispatcher.message_id": settlement.message_id,
        "dispatcher.correlation_id": settlement.correlation_id,
    }
    return {key: value for key, value in found.items() if value}
