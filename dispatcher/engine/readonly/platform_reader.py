"""Reads that belong to no contact's delivery: what would halt a run ends them."""

from collections.abc import Awaitable, Callable

from dispatcher.domain.answer import Answer, NoAnswer, Result
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.next_step import Jitter
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import Step
from dispatcher.engine import authorization
from dispatcher.engine.clients.breaker import UNREACHABLE_LIMIT
from dispatcher.engine.refusals import DEFAULT_HOLD_SECONDS, MAX_UNAUTHORIZED
from dispatcher.ports import (
    Clock,
    CredentialsUnavailableError,
    Pacer,
    Platform,
    Reply,
    TokenExpiredError,
    TokenGrants,
    TokenUnavailableError,
)

TRIES = 4
"""How often one read is made that fails for a passing reason."""
MAX_HOLD_SECONDS = 300.0
"""A command that somebody waits for does not wait longer than this for the platform's limit."""


class PlatformReadError(DispatcherError):
    """The platform does not let reads in; the message says why and what to do."""

    exit_code = ExitCode.PLATFORM


class PlatformReader:
    """Makes reads within the quota, one after the other as the pacer permits them.

    The commands that use it have no ledger for due times and nobody to probe for them: they
    wait for a passing fault, and end where a run would halt.
    """

    def __init__(
        self, platform: Platform, pacer: Pacer, clock: Clock, policy: RetryPolicy, jitter: Jitter
    ) -> None:
        self._platform = platform
        self._pacer = pacer
        self._clock = clock
        self._policy = policy
        self._jitter = jitter
        self._unreachable = 0
        self._forbidden = 0

    async def preflight(self) -> TokenGrants:
        """Get a token that grants all that a run needs.

        Raises:
            AskingError: a scope is missing, or the platform does not answer.
            CredentialsError: the platform refuses the client id and secret.

        """
        try:
            return _complete(await self._platform.renew(0))
        except CredentialsUnavailableError as error:
            raise PlatformReadError(str(error)) from None
        except TokenUnavailableError as error:
            raise _unreachable(str(error)) from None

    async def read(self, step: Step, call: Callable[[], Awaitable[Reply]]) -> Answer | None:
        """Make a read until it tells something; None if it does not after some tries.

        Raises:
            AskingError: a scope is missing, or the platform is down or at a limit.
            CredentialsError, TokenUnavailableError: as the platform raises them.

        """
        tries = unauthorized = 0
        while tries < TRIES:
            reply = await self._permitted(call)
            kind = classify(step, reply.result)
            if isinstance(reply.result, Answer):
                self._unreachable = 0
            if kind is AnswerKind.UNAUTHORIZED:
                unauthorized += 1
                await self._renew(reply, unauthorized)
            elif kind is AnswerKind.THROTTLED:
                self._throttled(reply.result)
            elif kind in (AnswerKind.NOT_SENT, AnswerKind.PASSING):
                tries += 1
                self._failed(kind, reply.result)
                await self._clock.sleep(self._policy.backoff(tries, self._jitter))
            elif isinstance(reply.result, Answer):
                await self._let_in(kind, reply.result)
                return reply.result
        return None

    async def _permitted(self, call: Callable[[], Awaitable[Reply]]) -> Reply:
        while True:
            permit = await self._pacer.acquire(Step.CHECK)  # look backs stand in the same line
            if permit is None:
                continue
            try:
                reply = await call()
            except TokenExpiredError as expired:
                permit.release()
                await self._platform.renew(expired.number)
                continue
            except BaseException:
                permit.complete(None)
                raise
            permit.complete(reply.reading)
            return reply

    async def _renew(self, reply: Reply, times: int) -> None:
        if times >= MAX_UNAUTHORIZED:
            raise PlatformReadError(
                "the platform refuses tokens that it has just issued (401): a permission is "
                "missing; look at the OAuth client's roles"
            )
        await self._platform.renew(reply.token.number)

    async def _let_in(self, kind: AnswerKind, answer: Answer) -> None:
        if kind is not AnswerKind.FORBIDDEN:
            self._forbidden = 0
            return
        self._forbidden += 1
        _complete(await self._platform.verify())
        if self._forbidden >= UNREACHABLE_LIMIT:
            named = authorization.describe_missing(answer.missing_grants) or (
                "a permission is; look at the OAuth client's roles and divisions"
            )
            raise PlatformReadError(
                "the platform refuses one read after the other (403) although no scope is "
                f"missing by its token: {named}"
            )

    def _throttled(self, result: Result) -> None:
        told = result.retry_after if isinstance(result, Answer) else None
        seconds = DEFAULT_HOLD_SECONDS if told is None else told
        if seconds > MAX_HOLD_SECONDS:
            limit = (result.limit_key if isinstance(result, Answer) else None) or "its quota"
            raise PlatformReadError(
                f"the platform's limit is used up ({limit}): it takes no reads for "
                f"{seconds:.0f} s; try again then, or with a smaller number"
            )
        self._pacer.hold(None, seconds)

    def _failed(self, kind: AnswerKind, result: Result) -> None:
        if kind is not AnswerKind.NOT_SENT or not isinstance(result, NoAnswer):
            return
        self._unreachable += 1
        if self._unreachable >= UNREACHABLE_LIMIT:
            raise _unreachable(result.detail)


def _unreachable(detail: str) -> PlatformReadError:
    return PlatformReadError(
        f"the platform cannot be reached ({detail}); check platform.base_url or platform.region, "
        "and the network, and try again"
    )


def _complete(authority: TokenGrants) -> TokenGrants:
    if authority.missing_grants:
        granted = " ".join(authority.granted) or "no scope that the platform tells"
        _, words = authorization.halt_reason(authority)
        raise PlatformReadError(f"{words}; granted: {granted}. A run would halt for it")
    return authority
