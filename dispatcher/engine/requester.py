"""One permitted request: the permit, for a send the intent, the call, and the books."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from dispatcher.domain.answer import Answer, Loss, NoAnswer
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Answered, StateAged
from dispatcher.domain.next_step import Defer
from dispatcher.domain.status import HaltReason, RetryReason, Step
from dispatcher.engine.clients.pool import Pass, Turnstile
from dispatcher.engine.completion import Desk, Work, discreet
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


class Exchange:
    """Makes requests for contacts."""

    def __init__(self, turnstile: Turnstile, desk: Desk) -> None:
        self._turnstile = turnstile
        self._desk = desk
        self._clock = desk.clock

    async def read(self, work: Work, call: Call) -> Reply | None:
        """Make a state check; None when it was not made.

        Then the contact has left, or goes round again by the way that all requests take.
        """
        granted = await self._permit(work, Step.CHECK)
        return None if granted is None else await self._read(work, Step.CHECK, granted, call)

    async def read_many(self, work: Work, granted: Pass, call: Call) -> Reply | None:
        """Read states for ``work`` and others, with the pass that it has; None as for `read`."""
        return await self._read(work, Step.CHECK_MANY, granted, call)

    async def _read(self, work: Work, step: Step, granted: Pass, call: Call) -> Reply | None:
        try:
            return await self._request(work, step, granted, call)
        except TokenExpiredError as expired:
            await self._renewed(work, step, expired.number)
            return None

    async def send(
        self, work: Work, step: Step, decision: Notify | Open, call: Call
    ) -> Reply | None:
        """Commit the intent and make the send; None as for `read`."""
        granted = await self._permit(work, step)
        if granted is None:
            return None
        client, permit = granted
        if self._too_late(work):
            permit.unused()
            return None
        counted = work.progress.sent()
        at = self._desk.platform_time()
        try:
            work.hindrance = await self._desk.ledger.intend(
                Intent(
                    work.id, step, decision, at, counted,
                    work.external_contact_id, self._desk.house.limits(at),
                )
            )  # fmt: skip
        except BaseException:
            permit.unused()
            raise
        if work.hindrance is not None:
            permit.unused()
            return None
        work.sending = True
        if not client.halts.open_for(work.id):
            permit.unused()
            await self.turn_back(work, decision)
            return None
        if work.conversation is not None:
            age = self._clock.monotonic() - work.state_at
            self._desk.events.emit(StateAged(age))
        try:
            return await self._request(work, step, granted, call)
        except TokenExpiredError as expired:
            await self.turn_back(work, decision)
            await self._renewed(work, step, expired.number)
            return None

    async def look_back(self, work: Work, call: Call) -> Reply | None:
        """Make a look back for ``work``, which is nobody's contact; None if it was not made."""
        renewed = True
        while renewed:
            granted = await self._turnstile.permit(Step.LOOK_BACK, work.id)
            if granted is None:
                return None
            try:
                return await self._request(work, Step.LOOK_BACK, granted, call)
            except TokenExpiredError as expired:
                renewed = await self._renewed(work, Step.LOOK_BACK, expired.number)
        return None

    async def turn_back(self, work: Work, decision: Notify | Open) -> None:
        """Keep a decision whose message was not taken, for when the way is open again."""
        work.kept = decision
        await self._desk.retract(work)

    def _too_late(self, work: Work) -> bool:
        """Tell whether the wait for the permit outlived the contact, or what was read of it.

        So does a rule of the campaign that bars it now, or now that the platform told who it is.
        """
        now, expires = self._clock.time(), work.contact.expires_at
        if expires is not None and now >= expires:
            return True
        if self._desk.house.bars(work.contact, work.conversation, work.progress, now) is not None:
            return True
        return work.forget_state_before(self._clock.monotonic() - STALE_STATE_SECONDS)

    async def _permit(self, work: Work, step: Step) -> Pass | None:
        """Wait for a permit; a contact that would have to wait for long leaves its worker."""
        granted = await self._turnstile.permit(step, work.id, work.forbidden)
        if granted is not None:
            return granted
        held = self._turnstile.held_long(step)
        if held > 0:
            await self._desk.defer(work, Defer(held, RetryReason.THROTTLED, work.progress))
        else:
            await self._desk.release(work)
        return None

    async def _request(self, work: Work, step: Step, granted: Pass, call: Call) -> Reply:
        client, permit = granted
        work.client, work.sent_at = client, self._clock.time()
        try:
            reply = await call(client.platform)
        except TokenExpiredError:
            permit.unused()
            raise
        except BaseException:
            permit.answered(None)
            raise
        permit.answered(reply.reading)
        self._enter(work, step, reply)
        return reply

    async def _renewed(self, work: Work, step: Step, number: int) -> bool:
        """Wait for a token, without a permit: a halt may begin meanwhile."""
        client = work.client
        try:
            with self._turnstile.renewing(client):
                await client.platform.renew(number)
        except CredentialsError as error:
            client.halts.halt(HaltReason.CREDENTIALS, str(error))
            client.halts.leave(work.id)
        except TokenUnavailableError as error:
            client.halts.unreachable(str(error))
            if step is not Step.LOOK_BACK:
                later = Defer(UNREACHABLE_SECONDS, RetryReason.NOT_SENT, work.progress)
                await self._desk.defer(work, later)
        else:
            return True
        return False

    def _enter(self, work: Work, step: Step, reply: Reply) -> None:
        if reply.clock is not None:
            self._desk.note_platform_clock(reply.clock)
        result, left = reply.result, True
        if isinstance(result, Answer):
            work.client.halts.reached()
        elif result.loss is Loss.NOT_SENT:
            left = False
            work.client.halts.unreachable(result.detail)
        if step.is_send and left:
            opens = work.progress.open_next
            counted = work.progress.sent()
            work.progress = replace(counted, open_next=True) if opens else counted
        self._desk.events.emit(_answered(work, step, reply))


def _answered(work: Work, step: Step, reply: Reply) -> Answered:
    result, contact, client = reply.result, work.contact, work.client.name
    if isinstance(result, NoAnswer):
        return Answered(
            step, result.loss.value, reply.seconds, contact.key, contact.conversation_id,
            "", failed=True, words=discreet(result.detail, work), client=client,
        )  # fmt: skip
    failed = result.status // 100 != 2  # noqa: PLR2004 - HTTP's class of success
    return Answered(
        step, str(result.status), reply.seconds, contact.key, contact.conversation_id,
        result.correlation_id, failed=failed, words=discreet(result.words, work),
        client=client,
    )  # fmt: skip
