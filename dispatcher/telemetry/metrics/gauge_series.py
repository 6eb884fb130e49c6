"""The gauges of a run as series of values."""

from collections.abc import Iterator

from dispatcher.domain.events import ClientPace, Gauges, LedgerState, SourceState
from dispatcher.telemetry.metrics.catalog import Key

MS = 1000.0


def of_client(client: str, *key: str) -> Key:
    """Return a series of one client, or of the run where there is only one client."""
    return (*key, client) if client else key


class GaugeSeries:
    """Turns `Gauges` into values of series.

    A state and reason that contacts once had stays, with 0, when no contact has it any more.
    """

    def __init__(self) -> None:
        self._empty: dict[tuple[str, str], int] = {}

    def of(self, event: Gauges) -> Iterator[tuple[Key, float]]:
        """Yield each series with its value."""
        yield ("in_flight",), event.in_flight
        yield ("backlog",), event.backlog
        yield ("oldest_due",), round(event.oldest_due, 3)
        yield ("loop.lag",), round(event.loop_lag * MS, 3)
        for pace in event.clients or (ClientPace("", event.pace, event.quota_used, event.quota),):
            yield from _of_pace(pace)
        self._empty.update(dict.fromkeys(event.contacts, 0))
        for (state, reason), contacts in {**self._empty, **event.contacts}.items():
            yield ("contacts.current", state, reason), contacts
        if event.source is not None:
            yield from _of_source(event.source)
        if event.ledger is not None:
            yield from _of_ledger(event.ledger)


def _of_pace(pace: ClientPace) -> Iterator[tuple[Key, float]]:
    yield of_client(pace.client, "pace"), round(pace.pace, 3)
    yield of_client(pace.client, "quota.used"), round(pace.quota_used, 4)
    yield of_client(pace.client, "quota.limit"), round(pace.quota.limit, 2)
    yield of_client(pace.client, "quota.own"), round(pace.quota.own, 2)
    yield of_client(pace.client, "quota.others"), round(pace.quota.others, 2)


def _of_source(source: SourceState) -> Iterator[tuple[Key, float]]:
    yield ("source.ended",), int(source.ended)
    if source.age is not None:
        yield ("source.age",), round(source.age, 3)
    if source.lag is not None:
        yield ("source.lag",), source.lag


def _of_ledger(ledger: LedgerState) -> Iterator[tuple[Key, float]]:
    yield ("ledger.size",), ledger.size
    if ledger.free is not None:
        yield ("ledger.disk_free",), ledger.free
    yield ("ledger.commit",), round(ledger.commit * MS, 3)
