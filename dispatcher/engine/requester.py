"""Makes one request with a permit. The intent of a send is committed first."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from dispatcher.domain.answer import Answer, NoAnswer, NoAnswerCause
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Answered, StateAged
from dispatcher.domain.next_step import SUCCESS, Defer
from dispatcher.domain.status import RetryReason, Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.clients.pool import ClientPermit, ClientPool
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.platform_time import PlatformTime
from dispatcher.engine.recipients import Recipients
from dispatcher.engine.send_result import (
    DECIDE_AGAIN,
    REPEAT,
    Blocked,
    LeftWorker,
    ReadResult,
    Repeat,
    SendResult,
    Suspended,
)
from dispatcher.engine.transition_writer import TransitionWriter
from dispatcher.ports import (
    Clock,
    EventSink,
    LookBackQuery,
    Platform,
    Reply,
    Tenure,
    TokenExpiredError,
    TokenUnavailableError,
    WatermarkQuery,
    complete_request,
)

STALE_STATE_SECONDS = 30.0
"""A state that is older when the permit comes is read again before a send rests on it."""
UNREACHABLE_SECONDS = 1.0
"""When a contact is due again whose request could not be made because no token could be had."""

_Call = Callable[[Platform], Awaitable[Reply]]
"""A request, made through the platform of the client that has the permit."""


@dataclass(frozen=True, slots=True, eq=False)
class Requester:
    """Makes requests for contacts."""

    pool: ClientPool
    transitions: TransitionWriter
    rules: CampaignRules
    events: EventSink
    clock: Clock
    platform_time: PlatformTime
    recipients: Recipients
    tenure: Tenure

    async def read(self, in_flight: InFlight) -> ReadResult:
        """Read the state of the contact's conversation."""
        step = Step.CHECK
        permit = self.pool.try_acquire(step, in_flight.id) or await self._acquire(in_flight, step)
        if isinstance(permit, LeftWorker):
            return permit
        checked = in_flight.contact.conversation_id
        return await self._read(in_flight, step, permit, lambda platform: platform.check(checked))

    async def read_many(
        self, in_flight: InFlight, permit: ClientPermit, conversation_ids: Sequence[str]
    ) -> ReadResult:
        """Read several states in one request, which ``in_flight`` has the permit for."""
        return await self._read(
            in_flight,
            Step.CHECK_MANY,
            permit,
            lambda platform: platform.check_many(conversation_ids),
        )

    async def send(self, in_flight: InFlight, step: Step, decision: Notify | Open) -> SendResult:
        """Commit the intent and make the send."""
        permit = self.pool.try_acquire(step, in_flight.id) or await self._acquire(in_flight, step)
        if isinstance(permit, LeftWorker):
            return permit
        if self._discard_if_outdated(in_flight):
            permit.release()
            return DECIDE_AGAIN
        try:
            block = await self.transitions.intend(in_flight, step, decision)
        except BaseException:
            permit.release()
            raise
        if block is not None:
            permit.release()
            return Blocked(block)
        in_flight.intended = True
        # a halt may have begun while the intent was committed, and another run may have taken over
        if not permit.client.breaker.allows(in_flight.id) or self.tenure.remaining_seconds() <= 0.0:
            permit.release()
            await self.transitions.retract(in_flight)
            return Suspended(decision)
        if in_flight.conversation is not None:
            self.events.emit(StateAged(self.clock.monotonic() - in_flight.state_at))
        try:
            return await self._request(in_flight, step, permit, _sending(in_flight, decision))
        except TokenExpiredError as expired:
            await self.transitions.retract(in_flight)
            renewed = await self._renew(in_flight, expired.number)
            return renewed if isinstance(renewed, LeftWorker) else Suspended(decision)

    async def look_back(
        self, in_flight: InFlight, queries: Sequence[LookBackQuery],
        watermark: WatermarkQuery | None = None,
    ) -> Reply | None:  # fmt: skip
        """Make a look back, for many contacts: ``in_flight`` is none of them.

        Return None if it was not made: there was no permit, or no token.
        """
        while (permit := await self.pool.acquire(Step.LOOK_BACK, in_flight.id)) is not None:
            try:
                return await self._request(
                    in_flight,
                    Step.LOOK_BACK,
                    permit,
                    lambda platform: platform.look_back(queries, watermark),
                )
            except TokenExpiredError as expired:
                number = expired.number
            try:
                if not await self.pool.renew(in_flight.client, in_flight.id, number):
                    return None
            except TokenUnavailableError:
                return None
        return None

    def release_probe(self, in_flight: InFlight) -> None:
        """Let another contact become the probe, if this one was it."""
        self.pool.release_probe(in_flight.id)

    def _discard_if_outdated(self, in_flight: InFlight) -> bool:
        """Return True if the send must be decided again after the wait for the permit.

        These are the causes: the contact has expired. A rule of the campaign forbids the send now.
        A send without a state check is not expected to save a request any more. The recipient
        needs a state check, or the state is too old: then the state is forgotten, too.
        """
        now, contact, progress = self.clock.time(), in_flight.contact, in_flight.progress
        if contact.expires_at is not None and now >= contact.expires_at:
            return True
        if self.rules.check(contact, in_flight.conversation, progress, now) is not None:
            return True
        if in_flight.first_call is not None and not in_flight.first_call.still_pays:
            return True
        if not self.recipients.permits_send(in_flight):
            in_flight.forget_state_before(inf)
            return True
        return in_flight.forget_state_before(self.clock.monotonic() - STALE_STATE_SECONDS)

    async def _acquire(self, in_flight: InFlight, step: Step) -> ClientPermit | LeftWorker:
        """Wait for a permit; a contact that would wait for long leaves its worker."""
        permit = await self.pool.acquire(step, in_flight.id, in_flight.forbidden)
        if permit is not None:
            return permit
        hold = self.pool.long_hold_remaining(step)
        if hold <= 0:
            return await self.transitions.release(in_flight)
        later = Defer(hold, RetryReason.THROTTLED, in_flight.progress)
        return await self.transitions.defer(in_flight, later)

    async def _read(
        self, in_flight: InFlight, step: Step, permit: ClientPermit, call: _Call
    ) -> ReadResult:
        try:
            return await self._request(in_flight, step, permit, call)
        except TokenExpiredError as expired:
            return await self._renew(in_flight, expired.number)

    async def _renew(self, in_flight: InFlight, number: int) -> Repeat | LeftWorker:
        try:
            await self.pool.renew(in_flight.client, in_flight.id, number)
        except TokenUnavailableError:
            later = Defer(UNREACHABLE_SECONDS, RetryReason.NOT_SENT, in_flight.progress)
            return await self.transitions.defer(in_flight, later)
        return REPEAT

    async def _request(
        self, in_flight: InFlight, step: Step, permit: ClientPermit, call: _Call
    ) -> Reply:
        in_flight.client, in_flight.sent_at = permit.client, self.clock.time()
        reply = await complete_request(permit, call, permit.client.platform)
        self.transitions.due_times.rechecks.count_request()
        self._record(in_flight, step, reply)
        return reply

    def _record(self, in_flight: InFlight, step: Step, reply: Reply) -> None:
        if reply.clock is not None:
            self.platform_time.synchronize(reply.clock)
        result, request_left = reply.result, True
        if isinstance(result, Answer):
            in_flight.client.breaker.record_reachable()
        elif result.cause is NoAnswerCause.NOT_SENT:
            request_left = False
            in_flight.client.breaker.record_unreachable(result.detail)
        if step.is_send and request_left:
            opens = in_flight.progress.open_next
            counted = in_flight.progress.count_send()
            # `count_send` resets open_next. It stays set until the answer is judged: after one that
            # proves nothing about the conversation, the open is still next.
            in_flight.progress = replace(counted, open_next=True) if opens else counted
        self.events.emit(_answered(in_flight, step, reply))


def _sending(in_flight: InFlight, decision: Notify | Open) -> _Call:
    contact = in_flight.contact
    if isinstance(decision, Notify):
        return lambda platform: platform.notify(contact, decision)
    return lambda platform: platform.open(contact, decision)


def _answered(in_flight: InFlight, step: Step, reply: Reply) -> Answered:
    result, contact, client = reply.result, in_flight.contact, in_flight.client.name
    if isinstance(result, NoAnswer):
        return Answered(
            step, result.cause.value, reply.seconds, contact.key, contact.conversation_id,
            "", failed=True, words=in_flight.redact(result.detail), client=client,
        )  # fmt: skip
    return Answered(
        step, str(result.status), reply.seconds, contact.key, contact.conversation_id,
        result.correlation_id, failed=result.status // 100 != SUCCESS,
        words=in_flight.redact(result.words), client=client,
    )  # fmt: skip
