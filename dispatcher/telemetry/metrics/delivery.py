"""Delivers metrics to an agent, and knows which of them it may not have."""

import errno
import time
from collections.abc import Callable

from dispatcher.telemetry.metrics.connection import AgentConnection
from dispatcher.telemetry.metrics.pending import MetricBatch
from dispatcher.telemetry.metrics.wire import LineWriter, Packet, pack

READ_SECONDS = 0.02
"""How long an agent is given to read what was sent, before a flush ends."""

Outcome = tuple[list[MetricBatch], OSError | None]
"""What an agent does not have, and the error that is the cause."""


class MetricDelivery:
    """Sends packets until one is not taken.

    A packet is delivered when the agent has read it (Unix sockets, on Linux), or when no refusal
    has come until the next flush (UDP). Until then its content is kept, so that what an agent has
    not read when it ends is sent to the next one. Counted twice is only what an agent read between
    the last look at it and its end. ``give_up`` is called with a number of lines that no agent
    would take. ``connected`` is whether the last batch was delivered.
    """

    def __init__(
        self, connection: AgentConnection, writer: LineWriter, give_up: Callable[[int], None]
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._give_up = give_up
        self._unconfirmed: list[MetricBatch] = []
        self.connected = False

    @property
    def refusal_is_late(self) -> bool:
        """Whether a refusal of what was sent last may still come."""
        return self._connection.confirms == "later" and bool(self._unconfirmed)

    def deliver(
        self, batch: MetricBatch, seconds: float
    ) -> tuple[list[MetricBatch], OSError | None]:
        """Send a batch; return what the agent does not have, and the error that is the cause.

        The connection waits up to ``seconds`` for room. After an error nothing more is sent, and
        all that the agent may not have comes back; except after a full buffer, because then the
        agent still gets what the kernel has taken.
        """
        try:
            self._connection.open()
            self._confirm()
        except OSError as error:
            return [*self._give_back(error), batch], error
        packets, waiting = pack(batch, self._writer, self._connection.most_bytes), MetricBatch()
        try:
            for packet in packets:
                waiting = packet.content
                self._send(packet, seconds)
                waiting = MetricBatch()
                self._check_refusal()
            self._wait_for_reader()
        except OSError as error:
            rest = [packet.content for packet in packets]
            return [*self._give_back(error), waiting, *rest], error
        self.connected = True
        return [], None

    @property
    def is_cut(self) -> bool:
        """Whether the agent has only a part of the last packet."""
        return self._connection.is_cut

    def close(self) -> list[MetricBatch]:
        """Close the connection; return what the agent has only a part of, which is worth nothing.

        What the kernel has taken whole an agent that is frozen reads later.
        """
        cut = self._unconfirmed[-1:] if self._connection.is_cut else []
        self._connection.close()
        return cut

    def _send(self, packet: Packet, seconds: float) -> None:
        try:
            self._connection.send(packet.data, seconds)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._give_up(packet.content.lines)  # it would never be taken
        else:
            self._unconfirmed.append(packet.content)

    def _check_refusal(self) -> None:
        if self._connection.confirms != "read":
            self._connection.check()
        if self._connection.confirms == "each":
            del self._unconfirmed[:-1]  # on a busy machine a refusal is late by one packet

    def _confirm(self) -> bool:
        if self._connection.check():
            self._unconfirmed = []
        return not self._unconfirmed

    def _wait_for_reader(self) -> None:
        """Look whether the agent reads, so that little is unconfirmed when it ends."""
        if self._connection.confirms != "read":
            return
        end = time.monotonic() + READ_SECONDS
        while not self._confirm() and time.monotonic() < end:
            time.sleep(0.001)

    def _give_back(self, error: OSError) -> list[MetricBatch]:
        if isinstance(error, TimeoutError):
            return []
        self._connection.close()
        self.connected = False
        returned, self._unconfirmed = self._unconfirmed, []
        return returned
