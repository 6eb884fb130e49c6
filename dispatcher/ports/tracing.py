"""Traces of contacts: what is put around the other ports while they are on.

Without traces there is no object of these types, and nothing is put around anything.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from dispatcher.ports.events import EventSink
from dispatcher.ports.ledger import Ledger
from dispatcher.ports.ledger_values import Claim
from dispatcher.ports.platform import Platform

Deliver = Callable[[Claim], Awaitable[None]]
"""Takes one claim as far as it gets now."""


class CampaignTracing(Protocol):
    """Traces the contacts of one campaign."""

    def wrap_delivery(self, deliver: Deliver) -> Deliver:
        """Return ``deliver`` with a span around each contact."""
        ...

    def wrap_ledger(self, ledger: Ledger) -> Ledger:
        """Return the ledger with a span for each write about one contact."""
        ...

    def sinks(self) -> tuple[EventSink, EventSink]:
        """Return what takes the campaign's events: for the spans, and for the log."""
        ...


class Tracing(Protocol):
    """Traces a share of the contacts of a run."""

    def campaign(self, name: str) -> CampaignTracing:
        """Return the traces of one campaign."""
        ...

    def wrap_platform(self, platform: Platform, client: str) -> Platform:
        """Return the platform of one client with a span for each request about contacts."""
        ...

    def close(self) -> None:
        """Deliver what is left, within 2 seconds; later spans are dropped."""
        ...
