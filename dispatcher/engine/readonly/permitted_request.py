"""Makes one request outside of a run, with a permit of the pacer."""

from collections.abc import Awaitable, Callable

from dispatcher.domain.status import Step
from dispatcher.ports import Pacer, Platform, Reply, TokenExpiredError, complete_request


async def request_with_permit(
    pacer: Pacer, platform: Platform, step: Step, call: Callable[[], Awaitable[Reply]]
) -> Reply:
    """Wait for a permit for ``step``, and make the request.

    If the token has expired, it is renewed and the request waits for a new permit.

    Raises:
        CredentialsError, TokenUnavailableError: there is no token.

    """
    while True:
        permit = await pacer.acquire(step)
        if permit is None:
            continue
        try:
            return await complete_request(permit, call)
        except TokenExpiredError as expired:
            await platform.renew(expired.number)
