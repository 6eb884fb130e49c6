"""Ends a permit as its request ends."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVarTuple

from dispatcher.domain.answer import QuotaReading
from dispatcher.ports.platform import Reply, TokenExpiredError

Arguments = TypeVarTuple("Arguments")


class EndedPermit(Protocol):
    """What ends a permit; see `Permit`."""

    def complete(self, reading: QuotaReading | None) -> None:
        """Record that the request was made."""
        ...

    def release(self) -> None:
        """Return the permit: the request was not made."""
        ...


async def complete_request(
    permit: EndedPermit, request: Callable[[*Arguments], Awaitable[Reply]], *arguments: *Arguments
) -> Reply:
    """Make a request with ``permit``, which has ended then, and return the reply.

    Raises:
        TokenExpiredError: there was no token. The request was not made; the permit is returned.

    """
    try:
        reply = await request(*arguments)
    except TokenExpiredError:
        permit.release()
        raise
    except BaseException:
        permit.complete(None)
        raise
    permit.complete(reply.reading)
    return reply
