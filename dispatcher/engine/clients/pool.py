"""The pool of OAuth clients: a request gets a permit of one that is not halted, at its pace."""

import asyncio
import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from typing import NamedTuple

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine.clients.breaker import CircuitBreaker
from dispatcher.engine.clients.client import ClientConnection, OAuthClient
from dispatcher.ports import Clock, CredentialsError, EventSink, Permit, TokenUnavailableError

LONG_HOLD_SECONDS = 10.0
"""A contact whose endpoint is held for longer waits in the ledger, not at a worker."""


class ClientPermit(NamedTuple):
    """The right to make one request, and the client that makes it."""

    client: OAuthClient
    pacer_permit: Permit

    def release(self) -> None:
        """Give the permit back: no request was made."""
        self.pacer_permit.release()

    def complete(self, reading: QuotaReading | None) -> None:
        """Record that the request was made, with what the answer reports about the quota."""
        self.pacer_permit.complete(reading)


class ClientPool:
    """Gives permits for requests, one by one.

    Of several clients that are not halted, the first with quota left makes the request. A
    request that probes a halted client is made by that client alone.
    """

    def __init__(
        self, connections: Sequence[ClientConnection], events: EventSink, clock: Clock,
        probe_seconds: float,
    ) -> None:  # fmt: skip
        def client(connection: ClientConnection) -> OAuthClient:
            name, platform = connection.name, connection.platform
            breaker = CircuitBreaker(
                platform, events, clock, probe_seconds, self._wake_waiters, name
            )
            return OAuthClient(name, platform, connection.pacer, breaker=breaker)

        self.clients = tuple(map(client, connections))
        self.probe_seconds = probe_seconds
        # The only client, if there is one: none is chosen, and no other could take its requests.
        self._only = self.clients[0] if len(self.clients) == 1 else None
        self.draining = False
        """Whether no contact may begin any more."""
        # While every client is clear, no request examines them one by one: with 50 clients that
        # took 120 us a contact.
        self._all_clear = True

    def try_acquire(self, step: Step, contact_id: int) -> ClientPermit | None:
        """Return the right to make one request if the only client has one to give now, else None.

        Most requests of a run get their permit so, and take no turn of `acquire`.
        """
        client = self._only
        if client is None or self.draining or not client.breaker.allows(contact_id):
            return None
        permit = client.pacer.try_acquire(step)
        return None if permit is None else ClientPermit(client, permit)

    async def acquire(
        self, step: Step, contact_id: int, forbidden: AbstractSet[OAuthClient] = frozenset()
    ) -> ClientPermit | None:
        """Wait for the right to make one request.

        Return None if the run drains, or if this endpoint alone is held for long. A
        ``forbidden`` client is taken only if no other one is available soon.

        A drain permits no more checks. It still permits a send whose state was read, unless the
        send would have to wait for the end of a halt or of the platform's hold.
        """
        while not self.blocked_by_drain(step) and not self.long_hold_remaining(step):
            clients = self._available(contact_id, step)
            if forbidden:
                clients = _without(clients, forbidden, step) or clients
            if not clients:
                await self._wait_for_change(contact_id, step)
                continue
            if self._only is not None:
                permit = await self._only.pacer.acquire(step)
            else:
                permit = await _first_permit(clients, step)
            if permit is None:
                continue
            client = self._only or next(c for c in clients if permit.issued_by(c.pacer))
            if client.breaker.allows(contact_id):
                return ClientPermit(client, permit)
            permit.release()
        return None

    async def renew(self, client: OAuthClient, contact_id: int, number: int) -> bool:
        """Renew the client's token of that ``number``, without holding a permit.

        Requests use other clients meanwhile, if there are any. A new permit is acquired
        afterwards, because a halt may have started. Return False if the platform refused the
        client's credentials: the client is halted then.

        Raises:
            TokenUnavailableError: the platform does not answer.

        """
        try:
            with nullcontext() if self._only is not None else client.breaker.pending_verdict():
                await client.platform.renew(number)
        except CredentialsError as error:
            client.breaker.halt(HaltReason.CREDENTIALS, str(error))
            client.breaker.release_probe(contact_id)
            return False
        except TokenUnavailableError as error:
            client.breaker.record_unreachable(str(error))
            raise
        return True

    def is_probe(self, contact_id: int) -> bool:
        """Return True if the contact tests whether a halted client works again."""
        return any(client.breaker.is_probe(contact_id) for client in self.clients)

    def release_probe(self, contact_id: int) -> None:
        """Let another contact become the probe of a client, if this one was it."""
        for client in self.clients:
            client.breaker.release_probe(contact_id)

    def hold(self, client: OAuthClient, step: Step | None, seconds: float) -> None:
        """Hold a client's requests after a 429.

        Cancel waiting requests if the run drains or the endpoint's hold is long.
        """
        client.pacer.hold(step, seconds)
        if self.draining or (step is not None and seconds > LONG_HOLD_SECONDS):
            client.pacer.cancel_waiters(checks_only=False)

    def has_alternative(self, excluded: AbstractSet[OAuthClient]) -> bool:
        """Return True if there is a client that is not halted, and not ``excluded``."""
        return any(
            client.breaker.reason is None for client in self.clients if client not in excluded
        )

    def skip_for(self, client: OAuthClient, step: Step, seconds: float) -> None:
        """Leave such requests to the other clients for a while, if there are any."""
        if self._only is None:
            client.pacer.hold(step, seconds)

    def hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held at every client that is not halted."""
        return min(client.pacer.hold_remaining(step) for client in self._working())

    def long_hold_remaining(self, step: Step) -> float:
        """Seconds for which this endpoint alone is held, if that is long; else 0."""
        shortest = math.inf
        for client in self._working():
            shortest = min(shortest, client.pacer.endpoint_hold_remaining(step))
            if shortest <= LONG_HOLD_SECONDS:
                return 0.0
        return shortest

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
        """Return True if the run drains and permits no ``step`` any more."""
        if not self.draining:
            return False
        return not step.is_send or self.halted_since is not None or self.hold_remaining(step) > 0

    def _working(self) -> Sequence[OAuthClient]:
        """Return the clients that are not halted; all of them if every one is."""
        if self._all_clear:
            return self.clients
        return [c for c in self.clients if c.breaker.reason is None] or self.clients

    def _available(self, contact_id: int, step: Step) -> Sequence[OAuthClient]:
        """Return the clients that may make a request for the contact now."""
        if self._only is not None:
            return self.clients if self._only.breaker.allows(contact_id) else ()
        if not self.draining:
            if self._all_clear:
                return self.clients
            probed = self._take_probe(contact_id, step)
            if probed is not None:
                return (probed,)
        allowed = [client for client in self.clients if client.breaker.allows(contact_id)]
        if self.draining:
            return [client for client in allowed if client.pacer.hold_remaining(step) <= 0]
        return allowed

    def _take_probe(self, contact_id: int, step: Step) -> OAuthClient | None:
        """Return the halted client whose probe the contact is, or becomes now."""
        for client in self.clients:
            if client.breaker.is_probe(contact_id):
                if client.pacer.endpoint_hold_remaining(step) <= LONG_HOLD_SECONDS:
                    return client
                client.breaker.release_probe(contact_id)
                return None
        return next((c for c in self.clients if c.breaker.try_become_probe(contact_id, step)), None)

    async def _wait_for_change(self, contact_id: int, step: Step) -> None:
        """Wait until a client may have become available to the contact."""
        if any(client.breaker.try_become_probe(contact_id, step) for client in self.clients):
            return
        future = asyncio.get_running_loop().create_future()
        for client in self.clients:
            client.breaker.add_waiter(contact_id, step, future)
        try:
            await future
        finally:
            for client in self.clients:
                client.breaker.remove_waiter(contact_id)

    def _wake_waiters(self) -> None:
        """Let every waiting request look again which clients are available."""
        self._all_clear = all(client.breaker.is_clear for client in self.clients)
        for client in self.clients:
            client.pacer.cancel_waiters(checks_only=False)
        if self.draining:
            for client in self.clients:
                client.breaker.wake_all()


def _without(
    clients: Sequence[OAuthClient], forbidden: AbstractSet[OAuthClient], step: Step
) -> Sequence[OAuthClient]:
    """Return the clients that are not forbidden, and whose endpoint is not held for long."""
    return [
        client
        for client in clients
        if client not in forbidden
        and client.pacer.endpoint_hold_remaining(step) <= LONG_HOLD_SECONDS
    ]


async def _first_permit(clients: Sequence[OAuthClient], step: Step) -> Permit | None:
    """Queue at several clients; return the permit of the first that has one to give."""
    future: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
    queues = []
    for client in clients:
        queues.append(client.pacer.enqueue(step, future))
        if future.done():
            break
    try:
        return await future
    except asyncio.CancelledError:
        if not future.cancelled() and (permit := future.result()) is not None:
            permit.release()
        raise
    finally:
        for leave in queues:
            leave()
