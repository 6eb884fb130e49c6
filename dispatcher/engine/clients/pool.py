"""The one way to a request: not halted, not draining, and within the pace."""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from dispatcher.domain.status import Step
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.ports import Permit

LONG_HOLD_SECONDS = 10.0
"""A contact whose endpoint is held for longer waits in the ledger, not at a worker."""


class ClientPermit(NamedTuple):
    """The right to make one request, and the client that makes it."""

    client: OAuthClient
    permit: Permit


class ClientPool:
    """Lets requests through one by one.

    Of several clients the one makes a request that is open and first has quota left. While some
    are halted the others go on; only who probes a halted client goes through that one alone.
    """

    def __init__(self, clients: Sequence[OAuthClient]) -> None:
        self.clients = tuple(clients)
        self._only = self.clients[0] if len(self.clients) == 1 else None
        self.draining = False
        """Whether no contact may begin any more."""
        for client in self.clients:
            client.breaker.on_change = self._wake_waiters

    async def acquire(
        self, step: Step, who: int, forbidden: AbstractSet[OAuthClient] = frozenset()
    ) -> ClientPermit | None:
        """Wait for the right to make one request.

        None if the run drains instead, or if this endpoint alone is held for long. Of clients
        that are ``forbidden`` none is taken where there is another to be had soon.

        A drain lets no more checks through. It still lets a send through whose state was
        read, unless it would have to wait for a halt or for the platform's hold.
        """
        while not self.blocked_by_drain(step) and not self.long_hold_remaining(step):
            ways = self._available(who, step)
            if forbidden:
                ways = _without(ways, forbidden, step) or ways
            if not ways:
                await self._wait_for_change(who, step)
                continue
            if self._only is not None:
                permit = await self._only.pacer.acquire(step)
            else:
                permit = await _first(ways, step)
            if permit is None:
                continue
            client = self._only or next(each for each in ways if permit.issued_by(each.pacer))
            if client.breaker.allows(who):
                return ClientPermit(client, permit)
            permit.release()
        return None

    def release_probe(self, who: int) -> None:
        """Tell that ``who`` is done; if it was a probe, the next can come."""
        for client in self.clients:
            client.breaker.release_probe(who)

    def during_renewal(self, client: OAuthClient) -> AbstractContextManager[None]:
        """Send everybody another way, where there is one, while a token is waited for."""
        return nullcontext() if self._only is not None else client.breaker.suspended()

    def hold(self, client: OAuthClient, step: Step | None, seconds: float) -> None:
        """Obey a 429; whoever would have to wait for it while the run drains, leaves."""
        client.pacer.hold(step, seconds)
        if self.draining or (step is not None and seconds > LONG_HOLD_SECONDS):
            client.pacer.cancel_waiters(checks_only=False)

    def has_alternative(self, than: AbstractSet[OAuthClient]) -> bool:
        """Tell whether there is a client that is not halted, and none of these."""
        return any(each.breaker.reason is None for each in self.clients if each not in than)

    def skip_for(self, client: OAuthClient, step: Step, seconds: float) -> None:
        """Leave such requests to the other clients for a while, where there are any."""
        if self._only is None:
            client.pacer.hold(step, seconds)

    def hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held at every client that is not halted."""
        return min(client.pacer.hold_remaining(step) for client in self._working())

    def long_hold_remaining(self, step: Step) -> float:
        """Seconds for which this endpoint alone is held, if that is long; else 0."""
        if self._only is not None:
            own = self._only.pacer.endpoint_hold_remaining(step)
        else:
            own = min(client.pacer.endpoint_hold_remaining(step) for client in self._working())
        return own if own > LONG_HOLD_SECONDS else 0.0

    @property
    def halted_since(self) -> float | None:
        """Since when all clients are halted (monotonic seconds); None while one is not."""
        if any(client.breaker.reason is None for client in self.clients):
            return None
        return max(client.breaker.since for client in self.clients)

    def drain(self) -> None:
        """Let no more contact begin."""
        self.draining = True
        self._wake_waiters()

    def blocked_by_drain(self, step: Step) -> bool:
        """Tell whether a draining run has no place for ``step`` any more."""
        if not self.draining:
            return False
        return not step.is_send or self.halted_since is not None or self.hold_remaining(step) > 0

    def _working(self) -> Sequence[OAuthClient]:
        """Return the clients that are not halted; all, where all of them are."""
        return [each for each in self.clients if each.breaker.reason is None] or self.clients

    def _available(self, who: int, step: Step) -> Sequence[OAuthClient]:
        """Return the clients that may make a request for ``who`` now."""
        if self._only is not None:
            return self.clients if self._only.breaker.allows(who) else ()
        if not self.draining:
            probed = self._probed_by(who, step)
            if probed is not None:
                return (probed,)
        open_now = [each for each in self.clients if each.breaker.allows(who)]
        if self.draining:
            return [each for each in open_now if each.pacer.hold_remaining(step) <= 0]
        return open_now

    def _probed_by(self, who: int, step: Step) -> OAuthClient | None:
        """Return the halted client that ``who`` probes, or is to probe from now on."""
        for client in self.clients:
            if client.breaker.is_probe(who):
                if client.pacer.endpoint_hold_remaining(step) <= LONG_HOLD_SECONDS:
                    return client
                client.breaker.release_probe(who)
                return None
        return next(
            (each for each in self.clients if each.breaker.try_become_probe(who, step)), None
        )

    async def _wait_for_change(self, who: int, step: Step) -> None:
        """Wait until something changed for ``who`` at any client."""
        if any(client.breaker.try_become_probe(who, step) for client in self.clients):
            return
        future = asyncio.get_running_loop().create_future()
        for client in self.clients:
            client.breaker.queue(who, step, future)
        try:
            await future
        finally:
            for client in self.clients:
                client.breaker.unqueue(who)

    def _wake_waiters(self) -> None:
        for client in self.clients:
            client.pacer.cancel_waiters(checks_only=False)
        if self.draining:
            for client in self.clients:
                client.breaker.wake_all()


def _without(
    ways: Sequence[OAuthClient], forbidden: AbstractSet[OAuthClient], step: Step
) -> Sequence[OAuthClient]:
    """Return those that may be asked, and for whose endpoint nobody waits long."""
    return [
        each
        for each in ways
        if each not in forbidden and each.pacer.endpoint_hold_remaining(step) <= LONG_HOLD_SECONDS
    ]


async def _first(ways: Sequence[OAuthClient], step: Step) -> Permit | None:
    """Stand in the lines of several clients; the first that has a permit to give serves."""
    future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
    lines = []
    for client in ways:
        lines.append(client.pacer.enqueue(step, future))
        if future.done():
            break
    try:
        return await future
    except asyncio.CancelledError:
        if not future.cancelled() and (permit := future.result()) is not None:
            permit.release()
        raise
    finally:
        for leave in lines:
            leave()
