"""Refusals that are not the contact's fault: the token, the scopes, the quota."""

from dataclasses import replace

from dispatcher.domain.answer import Answer
from dispatcher.domain.events import ScopeError, Throttled
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import BAD_REQUEST, Defer
from dispatcher.domain.status import HaltReason, Reason, RetryReason, ScopeSource, Status, Step
from dispatcher.engine import authorization
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.engine.clients.pool import LONG_HOLD_SECONDS, ClientPool
from dispatcher.engine.completion import Completer, InFlight
from dispatcher.ports import CredentialsError, TokenGrants, TokenUnavailableError

DEFAULT_HOLD_SECONDS = 5.0
"""How long a 429 holds that does not say."""
YOUNG_TOKEN_SECONDS = 2.0
"""A refused token that is younger did not just expire: it lacks something."""
MAX_UNAUTHORIZED = 5
"""401 answers to one contact, each to a newer token, after which no renewal will help."""


class RefusalHandler:
    """Judges what concerns all requests of a client, and holds or halts it."""

    def __init__(self, turnstile: ClientPool, desk: Completer, probe_seconds: float) -> None:
        self._turnstile = turnstile
        self._desk = desk
        self._events = desk.events
        self._probe_seconds = probe_seconds

    async def handle(self, work: InFlight, step: Step, kind: AnswerKind, answer: Answer) -> bool:
        """Take care of a refusal that is the client's; False if it is the contact's own."""
        match kind:
            case AnswerKind.UNAUTHORIZED:
                await self._unauthorized(work, step, answer)
            case AnswerKind.FORBIDDEN if step.is_of_records:
                await self._records_forbidden(work, step, answer)
            case AnswerKind.FORBIDDEN:
                await self._forbidden(work, step, answer)
            case AnswerKind.THROTTLED:
                await self._throttled(work, step, answer)
            case AnswerKind.CONFLICT if answer.status != BAD_REQUEST:
                return await self._masked(work, step, answer)
            case _:
                return False
        return True

    async def _unauthorized(self, work: InFlight, step: Step, answer: Answer) -> None:
        """Renew the token once; a token issued after the first 401 must do, if it is fresh."""
        client, token = work.client, work.token
        times, refused = work.unauthorized.pop(client, (0, token))
        newer = token.number > refused.number
        if (newer and token.age < YOUNG_TOKEN_SECONDS) or times + 1 >= MAX_UNAUTHORIZED:
            self._scope_error(work, step, answer, ScopeSource.UNAUTHORIZED)
            words = "the platform refuses a token that it has just issued (401)"
            self._halt(work, HaltReason.UNAUTHORIZED, words, step)
            return
        work.unauthorized[client] = times + 1, token
        try:
            with self._turnstile.during_renewal(client):
                await client.platform.renew(token.number)
        except CredentialsError as error:
            self._halt(work, HaltReason.CREDENTIALS, str(error))
        except TokenUnavailableError as error:
            client.breaker.record_unreachable(str(error))

    async def _forbidden(self, work: InFlight, step: Step, answer: Answer) -> None:
        """Halt for what the token lacks, else find out whether only this contact is out of reach.

        Also where the body names a permission or a division: the client may have it elsewhere.
        Another client may reach the contact.
        """
        with work.client.breaker.suspended():
            authority = await self._authority(work.client)
            source, reason = authorization.cause_of_403(answer, authority)
            self._scope_error(work, step, answer, source, authorization.missing(answer, authority))
            if authority is not None and authority.missing_grants:
                self._halt(work, *authorization.halt_reason(authority, reason), step)
                return
            if authority is not None and not self._again_while_others_pass(work, step):
                words = authorization.describe_403(step, answer)
                self._halt(work, reason, words, step, by_token=False)
        if authority is None:
            later = Defer(self._probe_seconds, RetryReason.FORBIDDEN, work.progress)
            await self._desk.defer(work, later)
            return
        again = work.client in work.forbidden
        work.forbidden.add(work.client)
        if not again and self._turnstile.has_alternative(work.forbidden):
            work.client.breaker.release_probe(work.id)
            return
        await self._set_aside(work, step, answer)

    async def _records_forbidden(self, work: InFlight, step: Step, answer: Answer) -> None:
        """Halt for a missing scope; without one the records alone are out of reach.

        Another client may have what it takes.
        """
        with work.client.breaker.suspended():
            authority = await self._authority(work.client)
            source, reason = authorization.cause_of_403(answer, authority)
            missing = authorization.missing(answer, authority)
            self._scope_error(work, step, answer, source, missing)
            if authority is not None and authority.missing_grants:
                self._halt(work, *authorization.halt_reason(authority, reason))
                return
        self._turnstile.skip_for(work.client, step, self._probe_seconds)

    def _again_while_others_pass(self, work: InFlight, step: Step) -> bool:
        first = work.progress.forbidden_at
        return first is not None and work.client.breaker.succeeded_since(step, first)

    async def _set_aside(self, work: InFlight, step: Step, answer: Answer) -> None:
        if self._again_while_others_pass(work, step):
            await self._desk.settle(work, Status.PARKED, Reason.FORBIDDEN_CONTACT, step, answer)
            return
        refused = replace(work.progress, forbidden_at=self._desk.clock.time())
        await self._desk.defer(work, Defer(self._probe_seconds, RetryReason.FORBIDDEN, refused))

    async def _throttled(self, work: InFlight, step: Step, answer: Answer) -> None:
        told = answer.retry_after
        seconds = DEFAULT_HOLD_SECONDS if told is None else told
        held = step if answer.limit_key else None
        client = work.client
        self._events.emit(Throttled(held, seconds, answer.limit_key or "", client.name))
        self._turnstile.hold(client, held, seconds)
        client.breaker.release_probe(work.id)
        if held is None or held.is_of_records or seconds <= LONG_HOLD_SECONDS:
            return
        wait = min(seconds, self._turnstile.long_hold_remaining(step))
        if wait > 0:
            await self._desk.defer(work, Defer(wait, RetryReason.THROTTLED, work.progress))

    async def _masked(self, work: InFlight, step: Step, answer: Answer) -> bool:
        """Tell a missing scope behind a 409 by a token that is issued after it."""
        with work.client.breaker.suspended():
            authority = await self._authority(work.client)
            if authority is None:
                unjudged = replace(work.progress, open_next=False)
                later = Defer(self._probe_seconds, RetryReason.CONFLICT, unjudged)
            elif not authority.missing_grants:
                return False
            else:
                source = ScopeSource.MASKED_CONFLICT
                self._scope_error(work, step, answer, source, authority.missing_names)
                self._halt(work, *authorization.halt_reason(authority), step)
                return True
        await self._desk.defer(work, later)
        return True

    async def _authority(self, client: OAuthClient) -> TokenGrants | None:
        """Ask what a token grants that is issued now; None if none can be had."""
        try:
            return await client.platform.verify()
        except CredentialsError as error:
            client.breaker.halt(HaltReason.CREDENTIALS, str(error))
        except TokenUnavailableError as error:
            client.breaker.record_unreachable(str(error))
        return None

    def _halt(
        self, work: InFlight, reason: HaltReason, words: str, step: Step | None = None,
        *, by_token: bool = True,
    ) -> None:  # fmt: skip
        """Halt, or go on halting: a probe that was refused makes room for the next."""
        work.client.breaker.halt(reason, words, step, by_token=by_token)
        work.client.breaker.release_probe(work.id)

    def _scope_error(
        self, work: InFlight, step: Step, answer: Answer, source: ScopeSource,
        missing: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        key, correlation = work.contact.key, answer.correlation_id
        name = work.client.name
        self._events.emit(ScopeError(source, step, key, correlation, missing, name))
