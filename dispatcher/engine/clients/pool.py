"""The one way to a request: not halted, not draining, and within the pace."""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from dispatcher.domain.status import Step
from dispatcher.engine.clients.client import Client
from dispatcher.ports import Permit

LONG_HOLD_SECONDS = 10.0
"""A contact whose endpoint is held for longer waits in the ledger, not at a worker."""


class Pass(NamedTuple):
    """The right to make one request, and the client that makes it."""

    client: Client
    permit: Permit


class Turnstile:
    """Lets requests through one by one.

    Of several clients the one makes a request that is open and first has quota left. While some
    are halted the others go on; only who probes a halted client goes through that one alone.
    """

    def __init__(self, clients: Sequence[Client]) -> None:
        self.clients = tuple(clients)
        self._only = self.clients[0] if len(self.clients) == 1 else None
        self.draining = False
        """Whether no contact may begin any more."""
        for client in self.clients:
            client.halts.on_change = self._look_again

    async def permit(
        self, step: Step, who: int, forbidden: AbstractSet[Client] = frozenset()
    ) -> Pass | None:
        """Wait for the right to make one request.

        None if the run drains instead, or if this endpoint alone is held for long. Of clients
        that are ``forbidden`` none is taken where there is another to be had soon.

        A drain lets no more checks through. It still lets a send through whose state was
        read, unless it would have to wait for a halt or for the platform's hold.
        """
        while not self.barred(step) and not self.held_long(step):
            ways = self._ways(who, step)
            if forbidden:
                ways = _without(ways, forbidden, step) or ways
            if not ways:
                await self._turn(who, step)
                continue
            if self._only is not None:
                permit = await self._only.pacer.permit(step)
            else:
                permit = await _first(ways, step)
            if permit is None:
                continue
            client = self._only or next(each for each in ways if permit.of(each.pacer))
            if client.halts.open_for(who):
                return Pass(client, permit)
            permit.unused()
        return None

    def leave(self, who: int) -> None:
        """Tell that ``who`` is done; if it was a probe, the next can come."""
        for client in self.clients:
            client.halts.leave(who)

    def renewing(self, client: Client) -> AbstractContextManager[None]:
        """Send everybody another way, where there is one, while a token is waited for."""
        return nullcontext() if self._only is not None else client.halts.suspended()

    def hold(self, client: Client, step: Step | None, seconds: float) -> None:
        """Obey a 429; whoever would have to wait for it while the run drains, leaves."""
        client.pacer.hold(step, seconds)
        if self.draining or (step is not None and seconds > LONG_HOLD_SECONDS):
            client.pacer.break_off(checks_only=False)

    def another(self, than: AbstractSet[Client]) -> bool:
        """Tell whether there is a client that is not halted, and none of these."""
        return any(each.halts.reason is None for each in self.clients if each not in than)

    def pass_over(self, client: Client, step: Step, seconds: float) -> None:
        """Leave such requests to the other clients for a while, where there are any."""
        if self._only is None:
            client.pacer.hold(step, seconds)

    def held(self, step: Step) -> float:
        """Seconds for which ``step`` is held at every client that is not halted."""
        return min(client.pacer.held(step) for client in self._working())

    def held_long(self, step: Step) -> float:
        """Seconds for which this endpoint alone is held, if that is long; else 0."""
        if self._only is not None:
            own = self._only.pacer.held_alone(step)
        else:
            own = min(client.pacer.held_alone(step) for client in self._working())
        return own if own > LONG_HOLD_SECONDS else 0.0

    @property
    def halted_since(self) -> float | None:
        """Since when all clients are halted (monotonic seconds); None while one is not."""
        if any(client.halts.reason is None for client in self.clients):
            return None
        return max(client.halts.since for client in self.clients)

    def drain(self) -> None:
        """Let no more contact begin."""
        self.draining = True
        self._look_again()

    def barred(self, step: Step) -> bool:
        """Tell whether a draining run has no place for ``step`` any more."""
        if not self.draining:
            return False
        return not step.is_send or self.halted_since is not None or self.held(step) > 0

    def _working(self) -> Sequence[Client]:
        """Return the clients that are not halted; all, where all of them are."""
        return [each for each in self.clients if each.halts.reason is None] or self.clients

    def _ways(self, who: int, step: Step) -> Sequence[Client]:
        """Return the clients that may make a request for ``who`` now."""
        if self._only is not None:
            return self.clients if self._only.halts.open_for(who) else ()
        if not self.draining:
            probed = self._probed_by(who, step)
            if probed is not None:
                return (probed,)
        open_now = [each for each in self.clients if each.halts.open_for(who)]
        if self.draining:
            return [each for each in open_now if each.pacer.held(step) <= 0]
        return open_now

    def _probed_by(self, who: int, step: Step) -> Client | None:
        """Return the halted client that ``who`` probes, or is to probe from now on."""
        for client in self.clients:
            if client.halts.is_probe(who):
                if client.pacer.held_alone(step) <= LONG_HOLD_SECONDS:
                    return client
                client.halts.leave(who)
                return None
        return next((each for each in self.clients if each.halts.step_in(who, step)), None)

    async def _turn(self, who: int, step: Step) -> None:
        """Wait until something changed for ``who`` at any client."""
        if any(client.halts.step_in(who, step) for client in self.clients):
            return
        future = asyncio.get_running_loop().create_future()
        for client in self.clients:
            client.halts.queue(who, step, future)
        try:
            await future
        finally:
            for client in self.clients:
                client.halts.unqueue(who)

    def _look_again(self) -> None:
        for client in self.clients:
            client.pacer.break_off(checks_only=False)
        if self.draining:
            for client in self.clients:
                client.halts.wake_all()


def _without(
    ways: Sequence[Client], forbidden: AbstractSet[Client], step: Step
) -> Sequence[Client]:
    """Return those that may be asked, and for whose endpoint nobody waits long."""
    return [
        each
        for each in ways
        if each not in forbidden and each.pacer.held_alone(step) <= LONG_HOLD_SECONDS
    ]


async def _first(ways: Sequence[Client], step: Step) -> Permit | None:
    """Stand in the lines of several clients; the first that has a permit to give serves."""
    future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
    lines = []
    for client in ways:
        lines.append(client.pacer.stand(step, future))
        if future.done():
            break
    try:
        return await future
    except asyncio.CancelledError:
        if not future.cancelled() and (permit := future.result()) is not None:
            permit.unused()
        raise
    finally:
        for leave in lines:
            leave()
