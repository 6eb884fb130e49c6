"""Delivers one contact, turn by turn: state check, decision, intent, send, outcome, settle."""

from dataclasses import dataclass, replace

from dispatcher.domain import contact_history
from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import (
    Decision,
    DecisionPolicy,
    Finish,
    Notify,
    Open,
    Wait,
    decide,
    open_with,
)
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.look_schedule import waits
from dispatcher.domain.next_step import (
    BAD_REQUEST,
    Defer,
    Jitter,
    NextStep,
    Reconcile,
    after_closed_session,
    after_conflict,
    after_engaged,
    after_open_conflict,
    after_read,
    after_send,
    after_wait,
    forget_engaged,
)
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.domain.suspicion import Local
from dispatcher.domain.unchecked_send import after_refused_send
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.first_calls import FirstCalls
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.refusal_guard import RefusalGuard
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.send_result import (
    DECIDE_AGAIN,
    LEFT_WORKER,
    REPEAT,
    Blocked,
    DecideAgain,
    LeftWorker,
    NextTurn,
    OpenRefused,
    Repeat,
    Suspended,
)
from dispatcher.engine.state_batcher import StateBatcher
from dispatcher.engine.transition_writer import TransitionWriter
from dispatcher.ports import Claim, Clock, Reply

_NOT_TAKEN = (AnswerKind.NOT_SENT, AnswerKind.NOT_TAKEN)
"""Answers that prove nothing about the conversation: the same send is still next."""


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """Delivers the contacts of one campaign.

    A contact's failures are values; an exception from here is a bug or a lost ledger.
    """

    requester: Requester
    batcher: StateBatcher | None
    refusals: RefusalHandler
    guard: RefusalGuard
    transitions: TransitionWriter
    rules: CampaignRules
    policy: DecisionPolicy
    jitter: Jitter
    clock: Clock
    first_calls: FirstCalls | None = None
    """None: the state is always read first."""

    async def deliver(self, claim: Claim) -> None:
        """Take a contact as far as it gets now: settled, deferred, in doubt, or released."""
        history = [contact_history.entry(self.clock.time(), "claimed")]
        started = self.clock.monotonic()
        in_flight = InFlight(claim.id, claim.contact, claim.progress, started, history)
        turn: NextTurn = DECIDE_AGAIN if claim.block is None else Blocked(claim.block)
        ended_by_rule = False
        try:
            while not isinstance(turn, LeftWorker):
                match await self._decide(in_flight, turn):
                    case Finish() as finish if self.guard.concerns(finish):
                        ended_by_rule = True
                        turn = await self.guard.refuse(in_flight, finish, Step.CHECK, None)
                    case Finish(status, reason):
                        turn = await self.transitions.settle(in_flight, status, reason)
                    case Defer() as later:
                        turn = await self.transitions.defer(in_flight, later)
                    case Notify() | Open() as decision:
                        turn = await self._send(in_flight, decision)
                    case next_turn:  # no decision: the contact has left, or takes another turn
                        turn = next_turn
        finally:
            self.requester.release_probe(in_flight)
            if self.first_calls is not None:
                self.first_calls.leave(in_flight)
        if not ended_by_rule and not waits(claim.progress):
            self.guard.count_accepted(Local.RULES)
        if self.guard.judged:
            await self.guard.settle_judged()

    async def _decide(
        self, in_flight: InFlight, turn: NextTurn
    ) -> Finish | Defer | Notify | Open | NextTurn:
        """Come to a decision, or return the next turn.

        There is no decision if no state could be read, or if the state shows what the refusal of
        an open (`OpenRefused`) means: then that is carried out.
        """
        now, policy, contact = self.clock.time(), self.policy, in_flight.contact
        decision = await self._decide_early(in_flight, turn, now)
        if decision is None and self.first_calls is not None:
            decision = await self.first_calls.choose(in_flight)
        if decision is None:
            conversation = await self._read_state(in_flight)
            if not isinstance(conversation, Conversation):
                return turn if isinstance(conversation, Repeat) else LEFT_WORKER
            if isinstance(turn, OpenRefused):
                followed = await self._follow_conflict(in_flight, turn, conversation)
                if followed is not None:
                    return followed
            in_flight.progress = forget_engaged(in_flight.progress, conversation, policy)
            decision = decide(contact, conversation, in_flight.progress, policy, now)
            contact_history.add_decision(in_flight.history, decision)
            if self.guard.concerns(decision) and isinstance(decision, Finish):
                return await self.guard.refuse(in_flight, decision, Step.CHECK, None)
            if not _waits_again(decision, in_flight.progress):
                self.guard.count_accepted(Step.CHECK)
        match decision:
            case Wait(RetryReason.ENGAGED):
                return after_engaged(contact, in_flight.progress, policy, self.clock.time())
            case Wait(reason):
                progress, now = in_flight.progress, self.clock.time()
                return after_wait(reason, progress, policy.retry, now, self.jitter)
        return decision

    async def _decide_early(
        self, in_flight: InFlight, turn: NextTurn, now: float
    ) -> Decision | Defer | LeftWorker | None:
        """Return the decision that needs no state check of the contact's own, if there is one."""
        decision: Decision | Defer | LeftWorker | None = self._decide_without_state(
            in_flight, turn, now
        )
        if isinstance(decision, Open) and self.batcher and not isinstance(turn, Suspended):
            decision = await self.batcher.before_open(in_flight, decision)
        if decision is not None and not isinstance(decision, LeftWorker):
            contact_history.add_decision(in_flight.history, decision)
        return decision

    async def _follow_conflict(
        self, in_flight: InFlight, turn: OpenRefused, conversation: Conversation
    ) -> DecideAgain | LeftWorker | None:
        """Carry out what the refusal of an open means; None if the usual decision follows."""
        refused, answer, progress = turn.decision, turn.answer, in_flight.progress
        after = after_conflict(refused, answer, conversation, progress, self.policy.retry)
        if after is None:
            return None
        shown = answer if answer.status == BAD_REQUEST else None
        return await self._follow(in_flight, after, Step.OPEN, shown)

    def _decide_without_state(
        self, in_flight: InFlight, turn: NextTurn, now: float
    ) -> Finish | Defer | Notify | Open | None:
        """Return the decision that needs no state check, if there is one."""
        contact, progress = in_flight.contact, in_flight.progress
        if contact.expires_at is not None and now >= contact.expires_at:
            return Finish(Status.SKIPPED, Reason.EXPIRED)
        blocked = self.rules.resolve(turn.block, progress) if isinstance(turn, Blocked) else None
        barred = blocked or self.rules.check(contact, in_flight.conversation, progress, now)
        if barred is not None:
            return barred
        if isinstance(turn, Suspended):
            return turn.decision
        if not progress.open_next:
            return None
        if self.requester.recipients.permits_send(in_flight):
            return open_with(contact, None, progress, contact.conversation_id, self.policy)
        in_flight.progress, in_flight.alone = replace(progress, open_next=False), True
        return None

    async def _read_state(self, in_flight: InFlight) -> Conversation | Repeat | LeftWorker:
        if self.batcher is not None:
            batched = await self.batcher.read_state(in_flight)
            if batched is not None:
                return self._observe(in_flight, batched)
        reply = await self.requester.read(in_flight)
        if not isinstance(reply, Reply):
            return reply
        step, result = Step.CHECK, reply.result
        kind = classify(step, result)
        in_flight.record_request(step, result, kind)
        answer = result if isinstance(result, Answer) else None
        conversation = answer.conversation if answer is not None else None
        is_gone = kind is AnswerKind.GONE
        if is_gone:
            conversation = Conversation(in_flight.contact.conversation_id, State.GONE)
        if conversation is not None and (is_gone or kind is AnswerKind.ACCEPTED):
            in_flight.client.breaker.record_success(in_flight.id, step, in_flight.sent_at)
            in_flight.state_requests += 1.0
            in_flight.record_state(conversation, self.clock.monotonic())
            return self._observe(in_flight, conversation)
        handled = await self.refusals.handle(in_flight, step, kind, reply)
        if handled is not None:
            return handled
        after = after_read(result, kind, in_flight.progress, self.policy.retry, self.jitter)
        followed = await self._follow(in_flight, after, step, answer)
        return followed if isinstance(followed, LeftWorker) else REPEAT

    def _observe(
        self, in_flight: InFlight, read: Conversation | LeftWorker
    ) -> Conversation | LeftWorker:
        """Compare the addresses, and let the choice of first calls learn from the state."""
        if isinstance(read, Conversation):
            self.requester.recipients.compare(in_flight.contact, read.address)
            if self.first_calls is not None:
                self.first_calls.observe(in_flight, read)
        return read

    async def _send(self, in_flight: InFlight, decision: Notify | Open) -> NextTurn:
        step = Step.NOTIFY if isinstance(decision, Notify) else Step.OPEN
        reply = await self.requester.send(in_flight, step, decision)
        if not isinstance(reply, Reply):
            return reply
        result = reply.result
        kind = classify(step, result)
        unchecked = self.first_calls if in_flight.first_call is not None else None
        if unchecked is not None:
            entry = contact_history.entry(in_flight.sent_at, contact_history.UNCHECKED, step)
            in_flight.history.append(entry)
        in_flight.record_request(step, result, kind)
        if kind is AnswerKind.CLOSED and isinstance(result, Answer):
            self.requester.recipients.compare(in_flight.contact, result.address)
        if unchecked is not None and unchecked.learn_from_answer(in_flight, step, kind):
            return await self._after_unchecked(unchecked, in_flight, step, kind, reply)
        if kind is AnswerKind.ACCEPTED and isinstance(result, Answer):
            in_flight.client.breaker.record_success(in_flight.id, step, in_flight.sent_at)
            if in_flight.first_call is not None:  # without a state check, which would permit it
                self.guard.count_accepted(Step.CHECK)
            self.guard.count_accepted(step)
            return await self.transitions.settle_delivered(in_flight, decision, result)
        handled = await self.refusals.handle(in_flight, step, kind, reply)
        if isinstance(handled, LeftWorker):
            return handled
        if handled is None:
            return await self._after_refused_send(in_flight, step, kind, decision, reply)
        await self.transitions.retract(in_flight)
        return Suspended(decision)

    async def _after_unchecked(
        self, first_calls: FirstCalls, in_flight: InFlight, step: Step, kind: AnswerKind,
        reply: Reply,
    ) -> NextTurn:  # fmt: skip
        """Follow a send without a state check that was refused: it is no surprise."""
        answer = reply.result if isinstance(reply.result, Answer) else None
        examines_conflict = kind is AnswerKind.CONFLICT and first_calls.take_scope_check(
            in_flight.client
        )
        if examines_conflict and answer is not None and answer.status != BAD_REQUEST:
            handled = await self.refusals.find_masked_scope(in_flight, step, answer)
            if isinstance(handled, LeftWorker):
                return handled
        in_flight.alone = True  # a record may be as stale as the row
        address = answer.address if answer is not None else None
        after = after_refused_send(kind, address, in_flight.progress, self.policy)
        followed = await self._follow(in_flight, after, step, answer)
        if isinstance(followed, LeftWorker):
            return followed
        await self.transitions.retract(in_flight)
        return DECIDE_AGAIN

    async def _after_refused_send(
        self, in_flight: InFlight, step: Step, kind: AnswerKind, decision: Notify | Open,
        reply: Reply,
    ) -> NextTurn:  # fmt: skip
        """Follow a send that was refused to this contact, or is in doubt."""
        policy, result = self.policy.retry, reply.result
        if kind not in _NOT_TAKEN:
            in_flight.progress = replace(in_flight.progress, open_next=False)
        progress, answer = in_flight.progress, result if isinstance(result, Answer) else None
        next_turn: NextTurn = DECIDE_AGAIN
        if kind is AnswerKind.CLOSED and answer is not None:
            after: NextStep = after_closed_session(in_flight.conversation, answer, progress, policy)
        elif kind is AnswerKind.CONFLICT and isinstance(decision, Open) and answer is not None:
            after = after_open_conflict(decision, answer, progress, policy)
            if decision.previous is not None:
                next_turn = OpenRefused(decision, answer)
        else:
            after = after_send(result, kind, step, progress, policy, self.jitter)
        if self.batcher is not None and answer is not None:
            after = self.batcher.after_refusal(in_flight, after, step, kind, answer.status)
        if isinstance(after, Reconcile):
            linked = isinstance(decision, Notify) or decision.previous is not None
            seconds = self.policy.reconcile.first_look(linked=linked)
            return await self.transitions.mark_in_doubt(in_flight, after.progress, seconds)
        followed = await self._follow(in_flight, after, step, answer)
        if isinstance(followed, LeftWorker):
            return followed
        await self.transitions.retract(in_flight)
        return next_turn

    async def _follow(
        self, in_flight: InFlight, after: NextStep, step: Step, answer: Answer | None
    ) -> DecideAgain | LeftWorker:
        """Let the contact leave, or keep what was learnt for its next turn."""
        match after:
            case Finish() as finish:
                return await self.guard.refuse(in_flight, finish, step, answer)
            case Defer(seconds) if seconds > 0:
                return await self.transitions.defer(in_flight, after)
        in_flight.progress = after.progress
        return DECIDE_AGAIN


def _waits_again(decision: Decision | Defer, progress: Progress) -> bool:
    """Return True if the contact has waited before: only its first look counts as an answer."""
    return waits(progress) and isinstance(decision, Wait)
