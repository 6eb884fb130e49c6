"""The DogStatsD client: aggregates metrics, and flushes them in a thread of its own."""

import time
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

import structlog

from dispatcher.domain.events import MetricsDropped
from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.connection import FULL, connect_to
from dispatcher.telemetry.metrics.delivery import MetricDelivery
from dispatcher.telemetry.metrics.pending import Pending
from dispatcher.telemetry.metrics.undelivered import UndeliveredLog
from dispatcher.telemetry.metrics.wire import LineWriter, is_disabled

SEND_SECONDS = 0.25
"""How long the flush waits for room in a socket's buffer; after that the rest is kept."""

AGAIN_SECONDS = 0.05
"""The pause between attempts to send what is left at the end of a run."""

GRACE_SECONDS = 0.25
"""How much longer than its time the last flush may take: a look at what the agent has read."""

OnDropped = Callable[[MetricsDropped], None]
"""Takes what was given up, in the thread of the flush."""


class DogStatsdClient:
    """Aggregates metrics, and sends them to one agent every ``flush_seconds``.

    No call but `close` waits for the network. What the agent does not take is kept, and leaves with
    the next flush that succeeds: see `Pending` for what is given up then. It has no timestamp, so
    it counts for the time at which it arrives.
    """

    def __init__(
        self, agent: AgentAddress, tags: Sequence[str], flush_seconds: float,
        log: Any = None, on_dropped: OnDropped = lambda _event: None,
    ) -> None:  # fmt: skip
        self._log = structlog.get_logger("dispatcher.telemetry") if log is None else log
        self._undelivered = UndeliveredLog(self._log)
        self._on_dropped = on_dropped
        self._writer = LineWriter(tags)
        self._pending = Pending()
        self._delivery = MetricDelivery(connect_to(agent), self._writer, self._pending.drop)
        self.count = self._pending.count
        self.gauge = self._pending.gauge
        self.distribution = self._pending.sample
        self._waiting = 0
        self._broken = False
        self._detail = "the agent did not answer"
        self._flush_seconds = flush_seconds
        self._deadline = 0.0
        self._closed = Event()
        self._discarded = self._finished = False
        self._thread = Thread(target=self._run, name="statsd-flush", daemon=True)

    def start(self) -> None:
        """Begin to send; what was measured before leaves with the first flush."""
        if not is_disabled():
            self._thread.start()

    def event(
        self, title: str, text: str, *, alert_type: str, group: str, tags: Sequence[str] = ()
    ) -> None:
        """Send an event; Datadog shows those of one ``group`` together.

        ``alert_type`` is "error", "warning", "info" or "success".
        """
        self._pending.event(self._writer.event(title, text, alert_type, group, tags))

    def service_check(self, name: str, status: int, message: str) -> None:
        """Send the status of a service check: 0 OK, 1 WARNING, 2 CRITICAL. The last one counts."""
        self._pending.check(name, self._writer.service_check(name, status, message))

    def end(self, seconds: float) -> None:
        """Let the thread send what is left within ``seconds``, and return at once."""
        if not self._closed.is_set():
            self._deadline = time.monotonic() + seconds
            self._closed.set()

    def close(self, seconds: float) -> bool:
        """Send what is left and stop the thread; return False if that took over ``seconds``.

        After `end` its time is the limit. An agent that does not read gets the whole time, one that
        is not there only a moment. What is left then is given up, and logged. What is measured
        afterwards is dropped.
        """
        if self._discarded or self._finished or self._thread.ident is None:
            return True
        self.end(seconds)
        self._finished = True
        self._thread.join(max(self._deadline - time.monotonic(), 0.0) + GRACE_SECONDS)
        ended = not self._thread.is_alive()
        if not ended:  # such as in a look-up of the host, which has no time limit
            self._discarded = True
        lost = self._pending.take().lines + (0 if ended else self._waiting)
        self._undelivered.ended(self._detail, lost)
        return ended and not lost

    def discard(self) -> None:
        """Send nothing more, and forget what has not left."""
        self._discarded = True
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._flush_seconds):
            self._flush(SEND_SECONDS)
        if not self._discarded:
            self._flush_last()
        for cut in self._delivery.close():
            self._detail = FULL
            self._pending.put_back(cut)

    def _flush_last(self) -> None:
        while self._is_full(self._flush(self._left(SEND_SECONDS))) and self._left():
            time.sleep(self._left(AGAIN_SECONDS))
        if self._delivery.refusal_is_late:
            time.sleep(self._left(AGAIN_SECONDS))
            self._flush(self._left(SEND_SECONDS))

    def _is_full(self, error: OSError | None) -> bool:
        return isinstance(error, TimeoutError) or self._delivery.is_cut

    def _left(self, most: float = 1.0) -> float:
        return min(max(self._deadline - time.monotonic(), 0.0), most)

    def _flush(self, seconds: float) -> OSError | None:
        was_connected = self._delivery.connected
        error = self._deliver(seconds)
        if self._discarded:
            return error
        if error is not None and was_connected and not self._delivery.connected:
            error = self._deliver(seconds)  # another agent may listen by now
        dropped = self._pending.take_dropped()
        if error is None:
            self._undelivered.delivered(dropped)
        else:
            self._detail = str(error)
            self._undelivered.failed(self._detail, self._waiting, dropped)
        if dropped:
            self._on_dropped(MetricsDropped(dropped, self._detail))
        return error

    def _deliver(self, seconds: float) -> OSError | None:
        batch = self._pending.take()
        self._waiting = batch.lines
        try:
            returned, error = self._delivery.deliver(batch, seconds)
        except Exception:  # noqa: BLE001 - a flush that fails must not end those that follow
            if not self._broken:  # the next flush may fail for the same reason
                self._log.exception("statsd.flush_failed")
            returned, error, self._broken = [batch], OSError("the flush failed"), True
        self._waiting = sum(part.lines for part in returned)
        for part in returned:
            self._pending.put_back(part)
        return error
