"""Writes what becomes of a contact in flight.

Each write is committed before its event is emitted.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace

from dispatcher.domain import contact_history
from dispatcher.domain.answer import Answer
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Deferred, RetryLoop, Settled
from dispatcher.domain.ids import canonical_or_none, same_id
from dispatcher.domain.look_schedule import waits
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import Progress
from dispatcher.domain.reconciliation import MessageFound
from dispatcher.domain.status import (
    SESSION_WAITS,
    Reason,
    Relation,
    RetryReason,
    SendBlock,
    Status,
    Step,
)
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.due_times import DueTimes
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.platform_time import PlatformTime
from dispatcher.engine.send_result import LEFT_WORKER, LeftWorker
from dispatcher.ports import Clock, EventSink, Intent, Ledger, Settlement


@dataclass(frozen=True, slots=True, eq=False)
class TransitionWriter:
    """Commits intents, and the writes with which a contact leaves its worker."""

    ledger: Ledger
    events: EventSink
    clock: Clock
    rules: CampaignRules
    due_times: DueTimes
    platform_time: PlatformTime

    def intend(
        self, in_flight: InFlight, step: Step, decision: Notify | Open
    ) -> Awaitable[SendBlock | None]:
        """Commit the intent of a send.

        If the send is blocked, commit nothing and return the block.
        """
        now, progress = self.platform_time.now(), in_flight.progress.count_send()
        person = decision.external_contact_id or in_flight.external_contact_id
        return self.ledger.intend(
            Intent(
                in_flight.id, step, decision, now, progress,
                canonical_or_none(person), self.rules.limits(now),
            )
        )  # fmt: skip

    def retract(self, in_flight: InFlight) -> Awaitable[None]:
        """Take an intent back. The platform did not take the message."""
        in_flight.intended = False
        return self.ledger.retract(in_flight.id)

    async def settle(
        self, in_flight: InFlight, status: Status, reason: Reason, step: Step = Step.CHECK,
        answer: Answer | None = None,
    ) -> LeftWorker:  # fmt: skip
        """Make a contact final, but not as one whose message is known to be accepted."""
        now = self.clock.time()
        if status is Status.PARKED:  # it can be replayed, and then its columns lose this
            in_flight.history.append(contact_history.entry(now, "settled", status, reason))
        await self._settle(
            in_flight,
            Settlement(
                in_flight.id,
                status,
                reason,
                now,
                in_flight.progress,
                words=in_flight.redact(answer.words) if answer else "",
                correlation_id=answer.correlation_id if answer else "",
                history=in_flight.history,
            ),
        )
        if reason is Reason.RETRY_LOOP:
            self.events.emit(RetryLoop(step, in_flight.contact.key))
        return LEFT_WORKER

    async def settle_delivered(
        self, in_flight: InFlight, decision: Notify | Open, answer: Answer
    ) -> LeftWorker:
        """Make a contact final whose message was taken, with its lineage."""
        opened, conversation = isinstance(decision, Open), in_flight.conversation
        identity = decision.external_contact_id
        identity = identity or (conversation.external_contact_id if conversation else None)
        external_contact_id = identity or in_flight.contact.external_contact_id
        read_ago = self.clock.monotonic() - in_flight.state_at
        return await self._settle(
            in_flight,
            Settlement(
                id=in_flight.id,
                status=Status.OPENED if opened else Status.NOTIFIED,
                reason=Reason.DELIVERED,
                at=self.clock.time(),
                progress=in_flight.progress,
                relation=_relation(decision, answer.conversation_id, external_contact_id),
                conversation_id=answer.conversation_id,
                message_id=answer.message_id,
                external_contact_id=identity,
                state_seen=conversation.state if conversation else None,
                state_at=self.clock.time() - read_ago if conversation else None,
                correlation_id=answer.correlation_id,
                history=in_flight.history,
            ),
        )

    async def settle_found(
        self, in_flight: InFlight, send: UnsettledSend, found: MessageFound
    ) -> LeftWorker:
        """Make a contact final whose message the platform shows, with the lineage found."""
        return await self._settle(
            in_flight,
            Settlement(
                id=in_flight.id,
                status=Status.OPENED if send.step is Step.OPEN else Status.NOTIFIED,
                reason=Reason.DELIVERED,
                at=self.clock.time(),
                progress=in_flight.progress,
                relation=found.relation,
                conversation_id=found.conversation_id,
                message_id=found.message_id,
                external_contact_id=send.external_contact_id,
                sent_at=found.sent_at,
            ),
        )

    async def defer(self, in_flight: InFlight, later: Defer, *, ahead: float = 0.0) -> LeftWorker:
        """Put a contact back into the ledger until later.

        A session that is waited for may be put off for longer. With ``ahead`` the contact is due
        before others that became due in so many seconds before.
        """
        now = self.clock.time()
        due = now + later.seconds
        if later.reason in SESSION_WAITS:
            due = self._plan_recheck(in_flight, due, now)
        elif later.reason in _READ_AGAIN:
            due = self.due_times.rechecks.common(due, now)
        history, contact = in_flight.history, in_flight.contact
        seconds = due - now
        history.append(contact_history.entry(now, "deferred", later.reason, round(seconds, 3)))
        await self.ledger.defer(in_flight.id, due - ahead, later.progress, history)
        self.due_times.schedule(due - ahead)
        self.due_times.waiting.add(later.reason, due - ahead)
        self.events.emit(Deferred(contact.key, contact.conversation_id, later.reason, seconds))
        return LEFT_WORKER

    def _plan_recheck(self, in_flight: InFlight, due: float, now: float) -> float:
        """Return when a session that is waited for is looked at again."""
        looks = self.due_times.rechecks
        if not waits(in_flight.progress):
            looks.count_first_look()
        planned = looks.plan(in_flight.id, due, now)
        expires_at = in_flight.contact.expires_at
        return planned if expires_at is None else max(due, min(planned, expires_at))

    async def mark_in_doubt(
        self, in_flight: InFlight, progress: Progress, seconds: float
    ) -> LeftWorker:
        """Leave a contact whose send has no clear answer to a look back in ``seconds``."""
        progress = replace(progress, doubted_at=self.platform_time.now())
        now = self.clock.time()
        at, self.due_times.last_doubt = now + seconds, now
        await self.ledger.mark_in_doubt(in_flight.id, at, progress, in_flight.history)
        self.due_times.schedule_look_back(at)
        return LEFT_WORKER

    async def release(self, in_flight: InFlight) -> LeftWorker:
        """Put a contact back, due at once, because the run drains."""
        now, history = self.clock.time(), in_flight.history
        history.append(contact_history.entry(now, "released"))
        await self.ledger.defer(in_flight.id, now, in_flight.progress, history)
        return LEFT_WORKER

    async def _settle(self, in_flight: InFlight, settlement: Settlement) -> LeftWorker:
        await self.ledger.settle(settlement)
        self.events.emit(
            Settled(
                contact_key=in_flight.contact.key,
                previous_conversation_id=in_flight.contact.conversation_id,
                status=settlement.status,
                reason=settlement.reason,
                relation=settlement.relation,
                conversation_id=settlement.conversation_id,
                message_id=settlement.message_id,
                correlation_id=settlement.correlation_id,
                seconds=self.clock.monotonic() - in_flight.started,
            )
        )
        self.rules.record_end(settlement.status)
        return LEFT_WORKER


_READ_AGAIN = (RetryReason.CONFLICT, RetryReason.UNKNOWN_STATE)
"""Deferrals after which a state is read again, for which moments are common."""


def _relation(
    decision: Notify | Open, conversation_id: str | None, external_contact_id: str | None
) -> Relation:
    """Return how the conversation that took the message continues the earlier one.

    A notify that ended in another conversation continues it by the person, if that is known.
    """
    if isinstance(decision, Notify):
        if same_id(conversation_id, decision.conversation_id):
            return Relation.NOTIFIED
        return Relation.UNLINKED if external_contact_id is None else Relation.LINKED
    if decision.previous is None:
        return Relation.UNLINKED
    return Relation.THREADED if same_id(conversation_id, decision.previous) else Relation.LINKED
