"""The halts of a run as series of values."""

from collections.abc import Callable, Iterator, Sequence

from dispatcher.domain.events import Halted, Resumed
from dispatcher.telemetry.metrics.catalog import Key, halt_gauges
from dispatcher.telemetry.metrics.gauge_series import of_client


class HaltSeries:
    """What the run, its clients and its campaign are halted for, and for how long already."""

    def __init__(self, clients: Sequence[str], monotonic: Callable[[], float]) -> None:
        self._since: dict[Key, float | None] = {key[1:]: None for key in halt_gauges(clients)}
        self._monotonic = monotonic

    def halt(self, event: Halted) -> None:
        """Note the begin of a halt; one that lasts already goes on."""
        key = of_client(event.client, event.reason)
        if self._since.get(key) is None:
            self._since[key] = self._monotonic()

    def resume(self, event: Resumed) -> None:
        """Note the end of a halt."""
        self._since[of_client(event.client, event.reason)] = None

    def values(self) -> Iterator[tuple[Key, float]]:
        """Yield for each reason whether it halts, and the seconds since when."""
        now = self._monotonic()
        for key, since in self._since.items():
            yield ("halted", *key), int(since is not None)
            yield ("halted.seconds", *key), 0.0 if since is None else round(now - since, 3)
