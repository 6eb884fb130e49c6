"""A contact in hand, and the ways in which it leaves the hand: each committed, then told."""

import asyncio
from dataclasses import replace

from dispatcher.domain import contact_history
from dispatcher.domain.answer import Answer, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Deferred, RetryLoop, Settled
from dispatcher.domain.failure import Kind
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import Progress
from dispatcher.domain.reconciliation import Found
from dispatcher.domain.status import Hindrance, Reason, Relation, Status, Step
from dispatcher.domain.unsettled_send import Intended
from dispatcher.engine.campaign_rules import HouseRules
from dispatcher.engine.clients.client import Client
from dispatcher.ports import Claim, Clock, EventSink, Ledger, Settlement, TokenUse

NEVER = float("inf")


class Work:
    """What is known of a contact while a worker has it.

    ``kept`` is a decision whose send was turned back for the run's sake, ``conflict`` an open that
    was refused, with the answer, and waits to be judged by the state, ``hindrance`` what the
    ledger told that stands against a send and waits to be followed. ``sending`` tells that the
    intent is committed. ``client`` made the last request, and is unset before the first;
    ``token`` is the one that it carried. ``refused`` has, by client, how many 401 came and the
    last token that got one; ``forbidden`` has the clients that may not reach it. ``story`` is what
    was done since the claim, which was at ``now`` (seconds since the epoch); None: nobody claimed
    it.
    """

    __slots__ = (
        "client",
        "conflict",
        "contact",
        "conversation",
        "done",
        "forbidden",
        "hindrance",
        "id",
        "kept",
        "progress",
        "refused",
        "sending",
        "sent_at",
        "started",
        "state_at",
        "story",
        "token",
    )

    def __init__(self, claim: Claim, started: float, now: float | None = None) -> None:
        self.id = claim.id
        self.contact: Contact = claim.contact
        self.progress: Progress = claim.progress
        self.started = started
        self.done = False
        self.sending = False
        self.hindrance: Hindrance | None = claim.hindrance
        self.conversation: Conversation | None = None
        self.state_at = 0.0
        self.sent_at = 0.0
        self.kept: Notify | Open | None = None
        self.conflict: tuple[Open, Answer] | None = None
        self.client: Client
        self.token = TokenUse(0, 0.0)
        self.refused: dict[Client, tuple[int, TokenUse]] = {}
        self.forbidden: set[Client] = set()
        self.story: list[contact_history.Entry] = (
            [] if now is None else [contact_history.claimed(now)]
        )

    def saw(self, conversation: Conversation, now: float) -> None:
        """Remember the state that was read; ``now`` is monotonic."""
        self.conversation, self.state_at = conversation, now

    def asked(self, step: Step, result: Result, kind: Kind) -> None:
        """Write a request into the story, with the state where it told one."""
        seen = result.conversation if isinstance(result, Answer) else None
        state = seen.state if seen is not None else None
        self.story.append(contact_history.asked(self.sent_at, step, result, kind, state))
        contact_history.shorten(self.story)

    @property
    def external_contact_id(self) -> str | None:
        """Who the person is, as far as it is known: the platform's word, else the row's."""
        seen = self.conversation
        told = seen.external_contact_id if seen else self.progress.external_contact_id
        return told or self.contact.external_contact_id

    def take_kept(self) -> Notify | Open | None:
        """Return the decision that waits."""
        kept, self.kept = self.kept, None
        return kept

    def forget_state_before(self, oldest: float) -> bool:
        """Forget a state that was read before ``oldest``; the next decision reads it again."""
        if self.conversation is None or self.state_at >= oldest:
            return False
        self.conversation = None
        self.progress = replace(self.progress, open_next=False)
        return True


class Desk:
    """Writes what becomes of a contact into the ledger, and tells telemetry once it is so."""

    def __init__(
        self, ledger: Ledger, events: EventSink, clock: Clock, house: HouseRules | None = None
    ) -> None:
        self.house = house or HouseRules()
        self.ledger = ledger
        self.events = events
        self.clock = clock
        self.next_due = NEVER
        """The earliest due time that was written since the feeder last asked the ledger."""
        self.next_look = 0.0
        """When the next contact in doubt is due for a look; 0 until the ledger was asked."""
        self.doubted = asyncio.Event()
        """Set when a contact came to be in doubt."""
        self._platform_zero: float | None = None  # its time when the monotonic clock was at 0

    def note_platform_clock(self, ahead: float) -> None:
        """Note by how many seconds the platform's clock is ahead of ours just now."""
        self._platform_zero = self.clock.time() - self.clock.monotonic() + ahead

    def platform_time(self) -> float:
        """Seconds since the epoch by the platform's clock, as far as it is known.

        It goes on evenly where our own clock jumps.
        """
        if self._platform_zero is None:
            return self.clock.time()
        return self._platform_zero + self.clock.monotonic()

    def look_at(self, at: float) -> None:
        """Note that a contact in doubt is due for a look."""
        self.next_look = min(self.next_look, at)
        self.doubted.set()

    async def settle(
        self, work: Work, status: Status, reason: Reason, step: Step = Step.CHECK,
        answer: Answer | None = None,
    ) -> None:  # fmt: skip
        """Make a contact final that no message was taken for."""
        now = self.clock.time()
        if status is Status.PARKED:  # it can be replayed, and then its columns tell it no more
            work.story.append(contact_history.settled(now, status, reason))
        await self._write(
            work,
            Settlement(
                id=work.id,
                status=status,
                reason=reason,
                at=now,
                progress=work.progress,
                words=discreet(answer.words, work) if answer else "",
                correlation_id=answer.correlation_id if answer else "",
                story=work.story,
            ),
        )
        if reason is Reason.RETRY_LOOP:
            self.events.emit(RetryLoop(step, work.contact.key))

    async def settle_sent(self, work: Work, decision: Notify | Open, answer: Answer) -> None:
        """Make a contact final whose message was taken, with its lineage."""
        seen = work.conversation
        opened = isinstance(decision, Open)
        told = decision.external_contact_id if isinstance(decision, Open) else None
        identity = told or (seen.external_contact_id if seen else None)
        known = identity or work.contact.external_contact_id
        await self._write(
            work,
            Settlement(
                id=work.id,
                status=Status.OPENED if opened else Status.NOTIFIED,
                reason=Reason.DELIVERED,
                at=self.clock.time(),
                progress=work.progress,
                relation=relation(decision, answer.conversation_id, known),
                conversation_id=answer.conversation_id,
                message_id=answer.message_id,
                external_contact_id=identity,
                state_seen=seen.state if seen else None,
                state_at=self._wall(work.state_at) if seen else None,
                correlation_id=answer.correlation_id,
                story=work.story,
            ),
        )

    async def defer(self, work: Work, later: Defer) -> None:
        """Put a contact back until later."""
        now = self.clock.time()
        due = now + later.seconds
        work.done = True
        work.story.append(contact_history.deferred(now, later.reason, later.seconds))
        await self.ledger.defer(work.id, due, later.progress, work.story)
        self.next_due = min(self.next_due, due)
        key, conversation = work.contact.key, work.contact.conversation_id
        self.events.emit(Deferred(key, conversation, later.reason, later.seconds))

    async def doubt(self, work: Work, seconds: float) -> None:
        """Leave a contact whose send has no clear answer to be looked for after so long."""
        at = self.clock.time() + seconds
        work.done = True
        await self.ledger.doubt(work.id, at, work.progress, work.story)
        self.look_at(at)

    async def settle_found(self, work: Work, intended: Intended, found: Found) -> None:
        """Make a contact final whose message the platform shows, with the lineage found."""
        opened = intended.step is Step.OPEN
        await self._write(
            work,
            Settlement(
                id=work.id,
                status=Status.OPENED if opened else Status.NOTIFIED,
                reason=Reason.DELIVERED,
                at=self.clock.time(),
                progress=work.progress,
                relation=found.relation,
                conversation_id=found.conversation_id,
                message_id=found.message_id,
                external_contact_id=intended.external_contact_id,
                sent_at=found.sent_at,
            ),
        )

    async def release(self, work: Work) -> None:
        """Put a contact back as it was, with what was learnt, because the run drains."""
        now = self.clock.time()
        work.done = True
        work.story.append(contact_history.released(now))
        await self.ledger.defer(work.id, now, work.progress, work.story)

    async def retract(self, work: Work) -> None:
        """Take an intent back: the message was not taken, or never left."""
        if work.sending:
            work.sending = False
            await self.ledger.retract(work.id)

    async def _write(self, work: Work, settlement: Settlement) -> None:
        work.done = True
        await self.ledger.settle(settlement)
        self.events.emit(
            Settled(
                contact_key=work.contact.key,
                previous_conversation_id=work.contact.conversation_id,
                status=settlement.status,
                reason=settlement.reason,
                relation=settlement.relation,
                conversation_id=settlement.conversation_id,
                message_id=settlement.message_id,
                correlation_id=settlement.correlation_id,
                seconds=self.clock.monotonic() - work.started,
            )
        )
        self.house.ended(settlement.status)

    def _wall(self, monotonic: float) -> float:
        return self.clock.time() - (self.clock.monotonic() - monotonic)


def discreet(words: str, work: Work) -> str:
    """Take out of foreign words what names or was written to a person."""
    if not words:
        return ""
    contact, conversation = work.contact, work.conversation
    target = (conversation.target if conversation else None) or work.progress.target
    for secret in (contact.text, contact.subject, contact.address, target and target.value):
        if secret:
            words = words.replace(secret, "[redacted]")
    return words


def relation(decision: Notify | Open, conversation_id: str | None, person: str | None) -> Relation:
    """Tell how the conversation that took the message continues the earlier one.

    Another one than a message was sent into continues it by its ``person``, where that is known.
    """
    if isinstance(decision, Notify):
        if conversation_id == decision.conversation_id:
            return Relation.NOTIFIED
        return Relation.UNLINKED if person is None else Relation.LINKED
    if decision.previous is None:
        return Relation.UNLINKED
    return Relation.THREADED if conversation_id == decision.previous else Relation.LINKED
