"""systemd's protocol of services of ``Type=notify``: one datagram for each message."""

import os
import socket
from collections.abc import Mapping

SOCKET = "NOTIFY_SOCKET"
"""The variable with the path of the socket; ``@`` at its beginning means an abstract one."""
_MICROSECONDS = 1e6


class ServiceManager:
    """Sends messages to the service manager that started the process; nothing if there is none.

    A message that cannot be sent is dropped: the service manager may be about to start again, and
    the next message comes soon.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get(SOCKET, "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self.watchdog_seconds = _watchdog_seconds(environment)
        """How long the service manager waits for a sign of life; None if it does not."""

    @property
    def is_there(self) -> bool:
        """True if a service manager expects messages."""
        return bool(self._address)

    def send(self, **fields: object) -> None:
        """Send one message, such as ``READY=1, STATUS="..."``; line ends become spaces."""
        if not self._address:
            return
        lines = [f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items()]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(0)  # a full queue must not block the event loop
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return the time of the watchdog, if it is meant for this process."""
    text = environment.get("WATCHDOG_USEC", "")
    if not text.isdecimal() or int(text) == 0:
        return None
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(text) / _MICROSECONDS
