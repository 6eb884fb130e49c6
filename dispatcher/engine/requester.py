"""One permitted request: the permit, for a send the intent, the call, and the books."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from dispatcher.domain.answer import Answer, NoAnswer, NoAnswerCause
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Answered, StateAged
from dispatcher.domain.next_step import Defer
from dispatcher.domain.status import HaltReason, RetryReason, Step
from dispatcher.engine.clients.pool import ClientPermit, ClientPool
from dispatcher.engine.completion import Completer, InFlight, redact_words
from dispatcher.ports import (
    CredentialsError,
    Intent,
    Platform,
    Reply,
    TokenExpiredError,
    TokenUnavailableError,
)

Call = Callable[[Platform], Awaitable[Reply]]
"""A request, made through the platform of whichever client has the permit."""
STALE_STATE_SECONDS = 30.0
"""A state that had to wait for longer is read again before a send rests on it."""
UNREACHABLE_SECONDS = 1.0
"""When a contact is due again whose request could not be made for want of a token."""


class Requester:
    """Makes requests for contacts."""

    def __init__(self, turnstile: ClientPool, desk: Completer) -> None:
        self._turnstile = turnstile
        self._desk = desk
        self._clock = desk.clock

    async def read(self, work: InFlight, call: Call) -> Reply | None:
        """Make a state check; None when it was not made.

        Then the contact has left, or goes round again by the way that all requests take.
        """
        granted = await self._permit(work, Step.CHECK)
        return None if granted is None else await self._read(work, Step.CHECK, granted, call)

    async def read_many(self, work: InFlight, granted: ClientPermit, call: Call) -> Reply | None:
        """Read states for ``work`` and others, with the pass that it has; None as for `read`."""
        return await self._read(work, Step.CHECK_MANY, granted, call)

    async def _read(
        self, work: InFlight, step: Step, granted: ClientPermit, call: Call
    ) -> Reply | None:
        try:
            return await self._request(work, step, granted, call)
        except TokenExpiredError as expired:
            await self._renew(work, step, expired.number)
            return None

    async def send(
        self, work: InFlight, step: Step, decision: Notify | Open, call: Call
    ) -> Reply | None:
        """Commit the intent and make the send; None as for `read`."""
        granted = await self._permit(work, step)
        if granted is None:
            return None
        client, permit = granted
        if self._is_stale(work):
            permit.release()
            return None
        counted = work.progress.count_send()
        at = self._desk.platform_time()
        try:
            work.block = await self._desk.ledger.intend(
                Intent(
                    work.id, step, decision, at, counted,
                    work.external_contact_id, self._desk.rules.limits(at),
                )
            )  # fmt: skip
        except BaseException:
            permit.release()
            raise
        if work.block is not None:
            permit.release()
            return None
        work.sending = True
        if not client.breaker.allows(work.id):
            permit.release()
            await self.suspend_send(work, decision)
            return None
        if work.conversation is not None:
            age = self._clock.monotonic() - work.state_at
            self._desk.events.emit(StateAged(age))
        try:
            return await self._request(work, step, granted, call)
        except TokenExpiredError as expired:
            await self.suspend_send(work, decision)
            await self._renew(work, step, expired.number)
            return None

    async def look_back(self, work: InFlight, call: Call) -> Reply | None:
        """Make a look back for ``work``, which is nobody's contact; None if it was not made."""
        renewed = True
        while renewed:
            granted = await self._turnstile.acquire(Step.LOOK_BACK, work.id)
            if granted is None:
                return None
            try:
                return await self._request(work, Step.LOOK_BACK, granted, call)
            except TokenExpiredError as expired:
                renewed = await self._renew(work, Step.LOOK_BACK, expired.number)
        return None

    async def suspend_send(self, work: InFlight, decision: Notify | Open) -> None:
        """Keep a decision whose message was not taken, for when the way is open again."""
        work.pending_decision = decision
        await self._desk.retract(work)

    def _is_stale(self, work: InFlight) -> bool:
        """Tell whether the wait for the permit outlived the contact, or what was read of it.

        So does a rule of the campaign that bars it now, or now that the platform told who it is.
        """
        now, expires = self._clock.time(), work.contact.expires_at
        if expires is not None and now >= expires:
            return True
        if self._desk.rules.check(work.contact, work.conversation, work.progress, now) is not None:
            return True
        return work.forget_state_before(self._clock.monotonic() - STALE_STATE_SECONDS)

    async def _permit(self, work: InFlight, step: Step) -> ClientPermit | None:
        """Wait for a permit; a contact that would have to wait for long leaves its worker."""
        granted = await self._turnstile.acquire(step, work.id, work.forbidden)
        if granted is not None:
            return granted
        held = self._turnstile.long_hold_remaining(step)
        if held > 0:
            await self._desk.defer(work, Defer(held, RetryReason.THROTTLED, work.progress))
        else:
            await self._desk.release(work)
        return None

    async def _request(
        self, work: InFlight, step: Step, granted: ClientPermit, call: Call
    ) -> Reply:
        client, permit = granted
        work.client, work.sent_at = client, self._clock.time()
        try:
            reply = await call(client.platform)
        except TokenExpiredError:
            permit.release()
            raise
        except BaseException:
            permit.complete(None)
            raise
        permit.complete(reply.reading)
        self._record(work, step, reply)
        return reply

    async def _renew(self, work: InFlight, step: Step, number: int) -> bool:
        """Wait for a token, without a permit: a halt may begin meanwhile."""
        client = work.client
        try:
            with self._turnstile.during_renewal(client):
                await client.platform.renew(number)
        except CredentialsError as error:
            client.breaker.halt(HaltReason.CREDENTIALS, str(error))
            client.breaker.release_probe(work.id)
        except TokenUnavailableError as error:
            client.breaker.record_unreachable(str(error))
            if step is not Step.LOOK_BACK:
                later = Defer(UNREACHABLE_SECONDS, RetryReason.NOT_SENT, work.progress)
                await self._desk.defer(work, later)
        else:
            return True
        return False

    def _record(self, work: InFlight, step: Step, reply: Reply) -> None:
        if reply.clock is not None:
            self._desk.note_platform_clock(reply.clock)
        result, left = reply.result, True
        if isinstance(result, Answer):
            work.client.breaker.record_reachable()
        elif result.cause is NoAnswerCause.NOT_SENT:
            left = False
            work.client.breaker.record_unreachable(result.detail)
        if step.is_send and left:
            opens = work.progress.open_next
            counted = work.progress.count_send()
            work.progress = replace(counted, open_next=True) if opens else counted
        self._desk.events.emit(_answered(work, step, reply))


def _answered(work: InFlight, step: Step, reply: Reply) -> Answered:
    result, contact, client = reply.result, work.contact, work.client.name
    if isinstance(result, NoAnswer):
        return Answered(
            step, result.cause.value, reply.seconds, contact.key, contact.conversation_id,
            "", failed=True, words=redact_words(result.detail, work), client=client,
        )  # fmt: skip
    failed = result.status // 100 != 2  # noqa: PLR2004 - HTTP's class of success
    return Answered(
        step, str(result.status), reply.seconds, contact.key, contact.conversation_id,
        result.correlation_id, failed=failed, words=redact_words(result.words, work),
        client=client,
    )  # fmt: skip
