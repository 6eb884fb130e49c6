"""A port before a server, which can be taken away and given back."""

import contextlib
import socket
import threading


class BreakablePort:
    """Forwards each connection to a server on loopback, until it is broken."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._accept()

    @property
    def url(self) -> str:
        """The address of an HTTP server behind it."""
        return f"http://127.0.0.1:{self.port}"

    def break_off(self) -> None:
        """End all connections, and refuse new ones."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def give_back(self) -> None:
        """Accept connections again."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._accept()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._listening,), daemon=True).start()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                inward, _ = listening.accept()
            except OSError:
                return
            outward = socket.create_connection(("127.0.0.1", self._target))
            self._ends += [inward, outward]
            for pair in ((inward, outward), (outward, inward)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
