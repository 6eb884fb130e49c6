"""Refusals that are not the contact's fault: the token, the grants, the quota."""

from contextlib import suppress
from dataclasses import dataclass, replace

from dispatcher.domain.answer import Answer
from dispatcher.domain.events import ClosedConflict, ScopeError, Throttled
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import BAD_REQUEST, Defer
from dispatcher.domain.status import HaltReason, Reason, RetryReason, ScopeSource, Status, Step
from dispatcher.engine import authorization
from dispatcher.engine.clients.pool import LONG_HOLD_SECONDS, ClientPool
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.send_result import REPEAT, LeftWorker, Repeat
from dispatcher.engine.transition_writer import TransitionWriter
from dispatcher.ports import (
    Clock,
    EventSink,
    Reply,
    TokenGrants,
    TokenLease,
    TokenUnavailableError,
)

DEFAULT_HOLD_SECONDS = 5.0
"""How long a 429 without a Retry-After holds the requests."""
YOUNG_TOKEN_SECONDS = 2.0
"""A refused token that is younger cannot have expired: it lacks a grant."""
MAX_UNAUTHORIZED = 5
"""401 answers to one contact, each to a newer token, after which no renewal will help."""


@dataclass(frozen=True, slots=True, eq=False)
class RefusalHandler:
    """Judges refusals that concern all requests of a client, and holds or halts the client."""

    pool: ClientPool
    transitions: TransitionWriter
    events: EventSink
    clock: Clock

    async def handle(
        self, in_flight: InFlight, step: Step, kind: AnswerKind, reply: Reply
    ) -> Repeat | LeftWorker | None:
        """Handle a refusal that concerns all requests of the client.

        Return `REPEAT` if the request needs a new permit, `LEFT_WORKER` if the contact has left its
        worker, and None if the refusal concerns this contact alone.
        """
        answer, handled = reply.result, None
        if not isinstance(answer, Answer):
            return None
        match kind:
            case AnswerKind.UNAUTHORIZED:
                return await self._unauthorized(in_flight, step, answer, reply.token)
            case AnswerKind.FORBIDDEN if step.reads_analytics:
                return await self._records_forbidden(in_flight, step, answer)
            case AnswerKind.FORBIDDEN:
                return await self._forbidden(in_flight, step, answer)
            case AnswerKind.THROTTLED:
                return await self._throttled(in_flight, step, answer)
            case AnswerKind.CONFLICT if answer.status != BAD_REQUEST:
                handled = await self.find_masked_scope(in_flight, step, answer)
        if handled is None and kind in (AnswerKind.CLOSED, AnswerKind.CONFLICT):
            key, client = in_flight.contact.key, in_flight.client.name
            conflict = ClosedConflict(step, answer.status, key, answer.correlation_id, client)
            self.events.emit(conflict)
        return handled

    async def _unauthorized(
        self, in_flight: InFlight, step: Step, answer: Answer, token: TokenLease
    ) -> Repeat:
        """Renew the token.

        Halt if a token issued after an earlier 401 is refused while young, or after
        `MAX_UNAUTHORIZED` refusals.
        """
        client = in_flight.client
        times, refused = in_flight.unauthorized.pop(client, (0, token))
        newer = token.number > refused.number
        if (newer and token.age < YOUNG_TOKEN_SECONDS) or times + 1 >= MAX_UNAUTHORIZED:
            self._scope_error(in_flight, step, answer, ScopeSource.UNAUTHORIZED)
            words = "the platform refuses a token that it has just issued (401)"
            self._halt(in_flight, HaltReason.UNAUTHORIZED, words, step)
            return REPEAT
        in_flight.unauthorized[client] = times + 1, token
        with suppress(TokenUnavailableError):
            await self.pool.renew(client, in_flight.id, token.number)
        return REPEAT

    async def _forbidden(
        self, in_flight: InFlight, step: Step, answer: Answer
    ) -> Repeat | LeftWorker:
        """Halt for a grant that the token lacks; else find out what the 403 is about.

        It may be about this contact alone, even if the body names a permission or a division,
        since the client may have it for other contacts. Another client may reach the contact.
        """
        client = in_flight.client
        with client.breaker.pending_verdict():
            grants, reason, lacking = await self._halt_if_grant_missing(in_flight, step, answer)
            if lacking:
                return REPEAT
            if grants is not None and not self._refused_while_others_pass(in_flight, step):
                words = authorization.describe_403(step, answer)
                self._halt(in_flight, reason, words, step, by_token=False)
        if grants is None:
            later = Defer(self.pool.probe_seconds, RetryReason.FORBIDDEN, in_flight.progress)
            return await self.transitions.defer(in_flight, later)
        again = client in in_flight.forbidden
        in_flight.forbidden.add(client)
        if not again and self.pool.has_alternative(in_flight.forbidden):
            client.breaker.release_probe(in_flight.id)
            return REPEAT
        if self._refused_while_others_pass(in_flight, step):
            parked = Status.PARKED, Reason.FORBIDDEN_CONTACT
            return await self.transitions.settle(in_flight, *parked, step, answer)
        refused = replace(in_flight.progress, forbidden_at=self.clock.time())
        later = Defer(self.pool.probe_seconds, RetryReason.FORBIDDEN, refused)
        return await self.transitions.defer(in_flight, later)

    async def _records_forbidden(self, in_flight: InFlight, step: Step, answer: Answer) -> Repeat:
        """Halt for a grant that the token lacks; else leave analytics to the other clients."""
        with in_flight.client.breaker.pending_verdict():
            _, _, lacking = await self._halt_if_grant_missing(in_flight, step, answer)
        if not lacking:
            self.pool.skip_for(in_flight.client, step, self.pool.probe_seconds)
        return REPEAT

    async def _halt_if_grant_missing(
        self, in_flight: InFlight, step: Step, answer: Answer
    ) -> tuple[TokenGrants | None, HaltReason, bool]:
        """Return a new token's grants, the cause of the 403, and True if a missing grant halted."""
        grants = await in_flight.client.breaker.new_grants()
        source, reason = authorization.cause_of_403(answer, grants)
        missing = authorization.missing(answer, grants)
        self._scope_error(in_flight, step, answer, source, missing)
        if grants is None or not grants.missing_grants:
            return grants, reason, False
        failed_step = None if step.reads_analytics else step
        self._halt(in_flight, *authorization.halt_reason(grants, reason), failed_step)
        return grants, reason, True

    def _refused_while_others_pass(self, in_flight: InFlight, step: Step) -> bool:
        """Return True if it was refused before, and another contact's request passed since."""
        first = in_flight.progress.forbidden_at
        return first is not None and in_flight.client.breaker.succeeded_since(step, first)

    async def _throttled(
        self, in_flight: InFlight, step: Step, answer: Answer
    ) -> Repeat | LeftWorker:
        seconds = DEFAULT_HOLD_SECONDS if answer.retry_after is None else answer.retry_after
        endpoint = step if answer.limit_key else None
        client = in_flight.client
        self.events.emit(Throttled(endpoint, seconds, answer.limit_key or "", client.name))
        self.pool.hold(client, endpoint, seconds)
        client.breaker.release_probe(in_flight.id)
        if endpoint is None or endpoint.reads_analytics or seconds <= LONG_HOLD_SECONDS:
            return REPEAT
        wait = min(seconds, self.pool.long_hold_remaining(step))
        if wait <= 0:
            return REPEAT
        later = Defer(wait, RetryReason.THROTTLED, in_flight.progress)
        return await self.transitions.defer(in_flight, later)

    async def find_masked_scope(
        self, in_flight: InFlight, step: Step, answer: Answer
    ) -> Repeat | LeftWorker | None:
        """Find a missing scope behind a 409, by the grants of a token that is issued after it.

        Return `REPEAT` if it was found, `LEFT_WORKER` if the contact has left its worker; else
        None.
        """
        with in_flight.client.breaker.pending_verdict():
            grants = await in_flight.client.breaker.new_grants()
            if grants is not None:
                if not grants.missing_grants:
                    return None
                source = ScopeSource.MASKED_CONFLICT
                self._scope_error(in_flight, step, answer, source, grants.missing_names)
                self._halt(in_flight, *authorization.halt_reason(grants), step)
                return REPEAT
            unjudged = replace(in_flight.progress, open_next=False)
        later = Defer(self.pool.probe_seconds, RetryReason.CONFLICT, unjudged)
        return await self.transitions.defer(in_flight, later)

    def _halt(
        self, in_flight: InFlight, reason: HaltReason, words: str, step: Step | None = None,
        *, by_token: bool = True,
    ) -> None:  # fmt: skip
        """Halt, or stay halted: if the contact was the probe, another one can be."""
        in_flight.client.breaker.halt(reason, words, step, by_token=by_token)
        in_flight.client.breaker.release_probe(in_flight.id)

    def _scope_error(
        self, in_flight: InFlight, step: Step, answer: Answer, source: ScopeSource,
        missing: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        key, correlation = in_flight.contact.key, answer.correlation_id
        name = in_flight.client.name
        self.events.emit(ScopeError(source, step, key, correlation, missing, name))
