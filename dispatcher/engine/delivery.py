"""One contact, one straight path: state check, decision, intent, send, outcome, settle."""

from collections.abc import Awaitable
from dataclasses import replace

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
from dispatcher.domain.events import ClosedConflict
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.next_step import (
    BAD_REQUEST,
    Defer,
    Jitter,
    NextStep,
    Recheck,
    Reconcile,
    Settle,
    after_closed_session,
    after_conflict,
    after_engaged,
    after_open_conflict,
    after_read,
    after_send,
    after_wait,
    forget_engaged,
)
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.completion import Completer, InFlight
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.state_batcher import StateBatcher
from dispatcher.ports import Claim, Reply

_NOT_TAKEN = (AnswerKind.NOT_SENT, AnswerKind.NOT_TAKEN)
"""What says nothing about the conversation: the same send is still next."""


class Delivery:
    """Delivers contacts.

    A contact's failures are values; an exception from here is a bug or a lost ledger.
    """

    def __init__(
        self, turnstile: ClientPool, desk: Completer, rules: DecisionPolicy, jitter: Jitter,
        probe_seconds: float,
        states_per_call: int = 1,
    ) -> None:  # fmt: skip
        self._turnstile = turnstile
        self._desk = desk
        self._rules = rules
        self._jitter = jitter
        self._exchange = Requester(turnstile, desk)
        self._refusals = RefusalHandler(turnstile, desk, probe_seconds)
        self._gathering = (
            StateBatcher(turnstile, self._exchange, self._refusals, desk, states_per_call)
            if states_per_call > 1
            else None
        )

    async def deliver(self, claim: Claim) -> None:
        """Take a contact as far as it gets now: settled, deferred, or released by a drain."""
        work = InFlight(claim, self._desk.clock.monotonic(), self._desk.clock.time())
        try:
            while not work.done:
                decision = await self._decision(work)
                if decision is not None:
                    contact_history.add_decision(work.story, decision)
                    await self._follow(work, decision)
        finally:
            self._turnstile.release_probe(claim.id)

    async def _decision(self, work: InFlight) -> Decision | Defer | None:
        """Come to a decision; None when the contact has left, or must go round again."""
        now, contact = self._desk.clock.time(), work.contact
        barred = self._blocked(work, now)
        if barred is not None:
            return barred
        if work.pending_decision is not None:
            return work.pop_pending_decision()
        if work.progress.open_next:
            previous = contact.conversation_id
            return open_with(contact, None, work.progress, previous, self._rules)
        conversation = await self._read_state(work)
        if conversation is None or await self._resolve_conflict(work, conversation):
            return None
        work.progress = forget_engaged(work.progress, conversation, self._rules)
        return decide(contact, conversation, work.progress, self._rules, now)

    def _blocked(self, work: InFlight, now: float) -> Finish | Defer | None:
        """Tell what stands against any request for this contact."""
        contact, house = work.contact, self._desk.rules
        if contact.expires_at is not None and now >= contact.expires_at:
            return Finish(Status.SKIPPED, Reason.EXPIRED)
        hindrance, work.block = work.block, None
        if hindrance is not None:
            after = house.resolve(hindrance, work.progress)
            if after is not None:
                return after
        return house.check(contact, work.conversation, work.progress, now)

    async def _read_state(self, work: InFlight) -> Conversation | None:
        if self._gathering is not None:
            seen = await self._gathering.read_state(work, self._rules)
            if seen is not None or work.done:
                return seen
        return await self._read_alone(work)

    async def _read_alone(self, work: InFlight) -> Conversation | None:
        checked = work.contact.conversation_id
        reply = await self._exchange.read(work, lambda platform: platform.check(checked))
        if reply is None:
            return None
        result = reply.result
        kind = classify(Step.CHECK, result)
        work.record_request(Step.CHECK, result, kind)
        if isinstance(result, Answer):
            if kind is AnswerKind.ACCEPTED and result.conversation is not None:
                work.client.breaker.record_success(work.id, Step.CHECK, work.sent_at)
                return self._record_state(work, result.conversation)
            if kind is AnswerKind.GONE:
                work.client.breaker.record_success(work.id, Step.CHECK, work.sent_at)
                return self._record_state(work, Conversation(checked, State.GONE))
            if await self._run_refused(work, Step.CHECK, kind, reply):
                return None
        policy = self._rules.retry
        after = after_read(result, kind, work.progress, policy, self._jitter)
        answer = result if isinstance(result, Answer) else None
        await self._carry_out(work, after, Step.CHECK, answer)
        return None

    def _record_state(self, work: InFlight, conversation: Conversation) -> Conversation:
        work.record_state(conversation, self._desk.clock.monotonic())
        return conversation

    async def _resolve_conflict(self, work: InFlight, seen: Conversation) -> bool:
        """Judge an open that was refused by the state read since; True if that decides."""
        refused, work.refused_open = work.refused_open, None
        if refused is None:
            return False
        sent, answer = refused
        policy = self._rules.retry
        judged = after_conflict(sent, answer, seen, work.progress, policy)
        if judged is None:
            return False
        await self._carry_out(
            work, judged, Step.OPEN, answer if answer.status == BAD_REQUEST else None
        )
        return True

    def _follow(self, work: InFlight, decision: Decision | Defer) -> Awaitable[None]:
        match decision:
            case Defer():
                return self._desk.defer(work, decision)
            case Finish(status, reason):
                return self._desk.settle(work, status, reason)
            case Wait(RetryReason.ENGAGED):
                now = self._desk.clock.time()
                later = after_engaged(work.contact, work.progress, self._rules, now)
                return self._desk.defer(work, later)
            case Wait(reason):
                policy, now = self._rules.retry, self._desk.clock.time()
                later = after_wait(reason, work.progress, policy, now, self._jitter)
                return self._desk.defer(work, later)
            case Notify():
                return self._send(work, Step.NOTIFY, decision)
            case Open():
                return self._send(work, Step.OPEN, decision)

    async def _send(self, work: InFlight, step: Step, decision: Notify | Open) -> None:
        reply = await self._call(work, step, decision)
        if reply is None:
            return
        kind = classify(step, reply.result)
        work.record_request(step, reply.result, kind)
        if kind is AnswerKind.ACCEPTED and isinstance(reply.result, Answer):
            work.client.breaker.record_success(work.id, step, work.sent_at)
            await self._desk.settle_delivered(work, decision, reply.result)
        elif await self._run_refused(work, step, kind, reply):
            await self._keep(work, decision)
        else:
            await self._handle_refusal(work, step, kind, decision, reply)

    def _call(self, work: InFlight, step: Step, decision: Notify | Open) -> Awaitable[Reply | None]:
        contact = work.contact
        if isinstance(decision, Notify):
            return self._exchange.send(
                work, step, decision, lambda platform: platform.notify(contact, decision)
            )
        return self._exchange.send(
            work, step, decision, lambda platform: platform.open(contact, decision)
        )

    async def _run_refused(
        self, work: InFlight, step: Step, kind: AnswerKind, reply: Reply
    ) -> bool:
        work.token = reply.token
        if not isinstance(reply.result, Answer):
            return False
        return await self._refusals.handle(work, step, kind, reply.result)

    async def _keep(self, work: InFlight, decision: Notify | Open) -> None:
        if not work.done:
            await self._exchange.suspend_send(work, decision)

    async def _handle_refusal(
        self, work: InFlight, step: Step, kind: AnswerKind, decision: Notify | Open, reply: Reply
    ) -> None:
        """Follow a send that was refused to this contact, or is in doubt."""
        result, policy = reply.result, self._rules.retry
        if kind not in _NOT_TAKEN:
            work.progress = replace(work.progress, open_next=False)
        if isinstance(result, Answer) and kind in (AnswerKind.CLOSED, AnswerKind.CONFLICT):
            key, correlation = work.contact.key, result.correlation_id
            client = work.client.name
            self._desk.events.emit(ClosedConflict(step, result.status, key, correlation, client))
        if kind is AnswerKind.CLOSED and isinstance(result, Answer):
            after: NextStep = after_closed_session(work.conversation, result, work.progress, policy)
        elif (
            kind is AnswerKind.CONFLICT
            and isinstance(decision, Open)
            and isinstance(result, Answer)
        ):
            work.refused_open = (decision, result) if decision.previous is not None else None
            after = after_open_conflict(decision, result, work.progress, policy)
        else:
            after = after_send(result, kind, step, work.progress, policy, self._jitter)
        if isinstance(after, Reconcile):
            seconds = self._rules.reconcile.first_look(linked=_is_linked(decision))
            work.progress = replace(after.progress, doubted_at=self._desk.platform_time())
            await self._desk.mark_in_doubt(work, seconds)
        else:
            await self._carry_out(work, after, step, result if isinstance(result, Answer) else None)

    async def _carry_out(
        self, work: InFlight, after: NextStep, step: Step, answer: Answer | None
    ) -> None:
        match after:
            case Settle(status, reason):
                await self._desk.settle(work, status, reason, step, answer)
            case Recheck(progress):
                work.progress = progress
                await self._desk.retract(work)
            case Defer(seconds, _, progress) if seconds <= 0:
                work.progress = progress
                await self._desk.retract(work)
            case Defer():
                await self._desk.defer(work, after)


def _is_linked(decision: Notify | Open) -> bool:
    return isinstance(decision, Notify) or decision.previous is not None
