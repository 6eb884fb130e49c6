"""A contact in hand, and the ways in which it leaves the hand: each committed, then told."""

import asyncio
from dataclasses import replace

from dispatcher.domain import contact_history
from dispatcher.domain.answer import Answer, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Deferred, RetryLoop, Settled
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import Progress
from dispatcher.domain.reconciliation import MessageFound
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.ports import Claim, Clock, EventSink, Ledger, Settlement, TokenLease

NEVER = float("inf")


class InFlight:
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
        "block",
        "client",
        "contact",
        "conversation",
        "done",
        "forbidden",
        "id",
        "pending_decision",
        "progress",
        "refused_open",
        "sending",
        "sent_at",
        "started",
        "state_at",
        "story",
        "token",
        "unauthorized",
    )

    def __init__(self, claim: Claim, started: float, now: float | None = None) -> None:
        self.id = claim.id
        self.contact: Contact = claim.contact
        self.progress: Progress = claim.progress
        self.started = started
        self.done = False
        self.sending = False
        self.block: SendBlock | None = claim.block
        self.conversation: Conversation | None = None
        self.state_at = 0.0
        self.sent_at = 0.0
        self.pending_decision: Notify | Open | None = None
        self.refused_open: tuple[Open, Answer] | None = None
        self.client: OAuthClient
        self.token = TokenLease(0, 0.0)
        self.unauthorized: dict[OAuthClient, tuple[int, TokenLease]] = {}
        self.forbidden: set[OAuthClient] = set()
        self.story: list[contact_history.HistoryEntry] = (
            [] if now is None else [contact_history.claimed_entry(now)]
        )

    def record_state(self, conversation: Conversation, now: float) -> None:
        """Remember the state that was read; ``now`` is monotonic."""
        self.conversation, self.state_at = conversation, now

    def record_request(self, step: Step, result: Result, kind: AnswerKind) -> None:
        """Write a request into the story, with the state where it told one."""
        seen = result.conversation if isinstance(result, Answer) else None
        state = seen.state if seen is not None else None
        self.story.append(contact_history.request_entry(self.sent_at, step, result, kind, state))
        contact_history.shorten(self.story)

    @property
    def external_contact_id(self) -> str | None:
        """Who the person is, as far as it is known: the platform's word, else the row's."""
        seen = self.conversation
        told = seen.external_contact_id if seen else self.progress.external_contact_id
        return told or self.contact.external_contact_id

    def pop_pending_decision(self) -> Notify | Open | None:
        """Return the decision that waits."""
        kept, self.pending_decision = self.pending_decision, None
        return kept

    def forget_state_before(self, oldest: float) -> bool:
        """Forget a state that was read before ``oldest``; the next decision reads it again."""
        if self.conversation is None or self.state_at >= oldest:
            return False
        self.conversation = None
        self.progress = replace(self.progress, open_next=False)
        return True


class Completer:
    """Writes what becomes of a contact into the ledger, and tells telemetry once it is so."""

    def __init__(
        self, ledger: Ledger, events: EventSink, clock: Clock, house: CampaignRules | None = None
    ) -> None:
        self.rules = house or CampaignRules()
        self.ledger = ledger
        self.events = events
        self.clock = clock
        self.next_due = NEVER
        """The earliest due time that was written since the feeder last asked the ledger."""
        self.next_look_back = 0.0
        """When the next contact in doubt is due for a look; 0 until the ledger was asked."""
        self.in_doubt_event = asyncio.Event()
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

    def schedule_look_back(self, at: float) -> None:
        """Note that a contact in doubt is due for a look."""
        self.next_look_back = min(self.next_look_back, at)
        self.in_doubt_event.set()

    async def settle(
        self, work: InFlight, status: Status, reason: Reason, step: Step = Step.CHECK,
        answer: Answer | None = None,
    ) -> None:  # fmt: skip
        """Make a contact final that no message was taken for."""
        now = self.clock.time()
        if status is Status.PARKED:  # it can be replayed, and then its columns tell it no more
            work.story.append(contact_history.settled_entry(now, status, reason))
        await self._write(
            work,
            Settlement(
                id=work.id,
                status=status,
                reason=reason,
                at=now,
                progress=work.progress,
                words=redact_words(answer.words, work) if answer else "",
                correlation_id=answer.correlation_id if answer else "",
                story=work.story,
            ),
        )
        if reason is Reason.RETRY_LOOP:
            self.events.emit(RetryLoop(step, work.contact.key))

    async def settle_delivered(
        self, work: InFlight, decision: Notify | Open, answer: Answer
    ) -> None:
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

    async def defer(self, work: InFlight, later: Defer) -> None:
        """Put a contact back until later."""
        now = self.clock.time()
        due = now + later.seconds
        work.done = True
        work.story.append(contact_history.deferred_entry(now, later.reason, later.seconds))
        await self.ledger.defer(work.id, due, later.progress, work.story)
        self.next_due = min(self.next_due, due)
        key, conversation = work.contact.key, work.contact.conversation_id
        self.events.emit(Deferred(key, conversation, later.reason, later.seconds))

    async def mark_in_doubt(self, work: InFlight, seconds: float) -> None:
        """Leave a contact whose send has no clear answer to be looked for after so long."""
        at = self.clock.time() + seconds
        work.done = True
        await self.ledger.mark_in_doubt(work.id, at, work.progress, work.story)
        self.schedule_look_back(at)

    async def settle_found(
        self, work: InFlight, intended: UnsettledSend, found: MessageFound
    ) -> None:
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

    async def release(self, work: InFlight) -> None:
        """Put a contact back as it was, with what was learnt, because the run drains."""
        now = self.clock.time()
        work.done = True
        work.story.append(contact_history.released_entry(now))
        await self.ledger.defer(work.id, now, work.progress, work.story)

    async def retract(self, work: InFlight) -> None:
        """Take an intent back: the message was not taken, or never left."""
        if work.sending:
            work.sending = False
            await self.ledger.retract(work.id)

    async def _write(self, work: InFlight, settlement: Settlement) -> None:
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
        self.rules.record_end(settlement.status)

    def _wall(self, monotonic: float) -> float:
        return self.clock.time() - (self.clock.monotonic() - monotonic)


def redact_words(words: str, work: InFlight) -> str:
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
