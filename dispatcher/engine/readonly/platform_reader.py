"""Reads outside of a run: what would halt a run ends them."""

from collections.abc import Awaitable, Callable

from dispatcher.domain.answer import Answer, NoAnswer
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.next_step import Jitter
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import Step
from dispatcher.engine import authorization
from dispatcher.engine.clients.breaker import UNREACHABLE_LIMIT
from dispatcher.engine.readonly.permitted_request import request_with_permit
from dispatcher.engine.refusals import DEFAULT_HOLD_SECONDS, MAX_UNAUTHORIZED
from dispatcher.ports import (
    Clock,
    CredentialsUnavailableError,
    Pacer,
    Platform,
    Reply,
    TokenGrants,
    TokenUnavailableError,
    WrongAddressError,
)

FORBIDDEN_LIMIT = 5
"""403 answers in a row after which reading ends."""
TRIES = 4
"""How often one read is made at most if it fails for a passing reason."""
MAX_HOLD_SECONDS = 300.0
"""The longest that a read waits for the platform's limit: a person waits for the command."""


class PlatformReadError(DispatcherError):
    """The platform refuses reads; the message says why and what to do."""

    exit_code = ExitCode.PLATFORM


class PlatformReader:
    """Makes reads within the quota, as the pacer permits them.

    The commands that use it have no due times and no probes: they wait until a passing fault is
    over, and end where a run would halt.
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
            PlatformReadError: a scope is missing, or the platform does not answer.
            CredentialsError: the platform refuses the client id and secret.

        """
        try:
            return _check_grants(await self._platform.renew(0))
        except (CredentialsUnavailableError, WrongAddressError) as error:
            raise PlatformReadError(str(error)) from None
        except TokenUnavailableError as error:
            raise _unreachable(str(error)) from None

    async def read(self, step: Step, call: Callable[[], Awaitable[Reply]]) -> Answer | None:
        """Make a read until it has an answer; None if it has none after some tries.

        Raises:
            PlatformReadError: a scope is missing, or the platform is down or at a limit.
            CredentialsError, TokenUnavailableError: as the platform raises them.

        """
        tries = unauthorized = 0
        while tries < TRIES:
            # look backs wait in the same queue as checks
            reply = await request_with_permit(self._pacer, self._platform, Step.CHECK, call)
            result, kind = reply.result, classify(step, reply.result)
            if isinstance(result, NoAnswer):
                if kind is AnswerKind.NOT_SENT:
                    self._count_unreachable(result.detail)
            else:
                self._unreachable = 0
                if kind is AnswerKind.UNAUTHORIZED:
                    unauthorized += 1
                    await self._renew(reply, unauthorized)
                    continue
                if kind is AnswerKind.THROTTLED:
                    self._hold(result)
                    continue
                if kind is not AnswerKind.PASSING:
                    await self._handle_forbidden(kind, result)
                    return result
            tries += 1
            await self._clock.sleep(self._policy.backoff(tries, self._jitter))
        return None

    async def _renew(self, reply: Reply, times: int) -> None:
        if times >= MAX_UNAUTHORIZED:
            raise PlatformReadError(
                "the platform refuses tokens that it has just issued (401): a permission is "
                "missing; check the OAuth client's roles"
            )
        await self._platform.renew(reply.token.number)

    async def _handle_forbidden(self, kind: AnswerKind, answer: Answer) -> None:
        """Count 403 answers in a row; raise if the token lacks a grant, or at the limit."""
        if kind is not AnswerKind.FORBIDDEN:
            self._forbidden = 0
            return
        self._forbidden += 1
        _check_grants(await self._platform.verify())
        if self._forbidden >= FORBIDDEN_LIMIT:
            missing = authorization.describe_missing(answer.missing_grants) or (
                "check the permissions and divisions of the OAuth client's roles"
            )
            raise PlatformReadError(
                f"the platform refused {FORBIDDEN_LIMIT} reads in a row (403) although the token "
                f"lacks no scope: {missing}"
            )

    def _hold(self, answer: Answer) -> None:
        seconds = DEFAULT_HOLD_SECONDS if answer.retry_after is None else answer.retry_after
        if seconds > MAX_HOLD_SECONDS:
            raise PlatformReadError(
                f"the platform's limit is used up ({answer.limit_key or 'its quota'}): it "
                f"accepts no reads for {seconds:.0f} s; try again then, or with a smaller number"
            )
        self._pacer.hold(None, seconds)

    def _count_unreachable(self, detail: str) -> None:
        self._unreachable += 1
        if self._unreachable >= UNREACHABLE_LIMIT:
            raise _unreachable(detail)


def _unreachable(detail: str) -> PlatformReadError:
    return PlatformReadError(
        f"the platform cannot be reached ({detail}); check platform.base_url or platform.region, "
        "and the network, and try again"
    )


def _check_grants(grants: TokenGrants) -> TokenGrants:
    if grants.missing_grants:
        granted = " ".join(grants.granted) or "no scope that the platform reports"
        _, words = authorization.halt_reason(grants)
        raise PlatformReadError(f"{words}; granted: {granted}. A run would halt for it")
    return grants
