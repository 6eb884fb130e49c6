"""A TCP proxy before PostgreSQL that knows its messages, and breaks connections at chosen ones.

It runs in threads of its own, on loopback and without TLS: a client that asks for TLS gets none.

    with pg_proxy(server.port) as proxy:
        lost = proxy.add(Rule(Back.READY, Does.CUT, sql="dispatcher.apply"))
        ...                                   # connect to proxy.port
        assert lost.fired.wait(10)            # the group is committed, and its answer was lost

An answer is buffered by the server until it has committed: `Back.READY` never passes before the
commit, `Back.COMPLETE` only may if the rows before it are more than some 8 kB.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

from tests.support.pg_messages import Back, Front, Message, Statements

LOOPBACK = "127.0.0.1"
_WANTS_ENCRYPTION = (80877103, 80877104)
"""Codes of a first message that asks for TLS or GSSAPI."""
_CANCELS = 80877102
"""The code of a first message that cancels a statement of another connection."""
_HEAD = struct.Struct("!cI")
_FIRST = struct.Struct("!II")


class Does(Enum):
    """What a rule does to its message. All that was sent before the message arrives."""

    CUT = "cut"
    """The message is lost, and the connection is cut on both sides."""
    CUT_AFTER = "cut after"
    """The message arrives, then the connection is cut. The server carries out what it has."""
    HALF_OPEN = "half-open"
    """The message is lost. Both sockets stay, also if one side closes its own; nothing passes."""
    HALF_OPEN_AFTER = "half-open after"
    """The message arrives, and nothing passes any more, in both directions."""
    DELAY = "delay"
    """The message arrives some seconds later, and what follows it after it."""


@dataclass(eq=False)
class Rule:
    """What happens to a message from the ``nth`` match on, ``times`` times in all.

    ``sql`` must be a part of the statement that the message belongs to, if it is not empty.
    """

    message: Front | Back
    does: Does = Does.CUT
    sql: str = ""
    nth: int = 1
    times: int = 1
    seconds: float = 0.0
    fired: threading.Event = field(default_factory=threading.Event)
    matches: int = 0

    def takes(self, message: "Message") -> bool:
        """Count a match; return whether the rule is to act on it."""
        if message.kind is not self.message or self.sql not in message.sql:
            return False
        self.matches += 1
        return self.nth <= self.matches < self.nth + self.times


class PgProxy:
    """Listens on `port`, and passes on to ``target``: a port that may be changed (failover)."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        """How many were accepted so far."""
        self._rules: list[Rule] = []
        self._seen: list[Message] = []
        self._open: list[_Connection] = []
        self._lock = threading.Lock()
        self._flowing, self._listening = threading.Event(), threading.Event()
        self.closing = threading.Event()
        with socket.create_server((LOOPBACK, 0)) as probe:
            self.port: int = probe.getsockname()[1]
        # a port that was named stays bound while nothing listens; see `refuse`
        self._socket = socket.create_server((LOOPBACK, self.port))
        for event in (self._flowing, self._listening):
            event.set()
        self._thread = threading.Thread(target=self._accept, name="pg-proxy", daemon=True)
        self._thread.start()

    def add(self, rule: Rule) -> Rule:
        """Let a rule hold for all connections, also open ones."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Drop all rules. What they have done to connections stays."""
        with self._lock:
            self._rules.clear()

    def record(self) -> list[Message]:
        """Return a new list that is filled with all that passes from now on."""
        with self._lock:
            self._seen = []
            return self._seen

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            cut, self._open = self._open, []
        for connection in cut:
            connection.cut()

    def refuse(self) -> None:
        """Refuse new connections, as a machine without a server does. Open ones go on."""
        self._listening.clear()
        self._socket.shutdown(socket.SHUT_RDWR)  # the port stays bound

    def accept(self) -> None:
        """Accept connections again."""
        self._socket.listen()
        self._listening.set()

    def stall(self) -> None:
        """Let nothing pass, in open and new connections, until `flow`. No socket is closed."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let all pass again, also what has waited."""
        self._flowing.set()

    def fail_over(self, target: int) -> None:
        """Cut all connections, and lead new ones to another port."""
        self.target = target
        self.cut()

    def close(self) -> None:
        """End all."""
        self.closing.set()
        self._flowing.set()
        self._listening.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            connection.end()

    def passing(self, message: Message) -> Rule | None:
        """Wait while nothing may pass; return the rule that acts on the message."""
        self._flowing.wait()
        with self._lock:
            self._seen.append(message)
            taken = [rule for rule in self._rules if rule.takes(message)]
        return taken[0] if taken else None

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                self._listening.wait()
                continue
            with self._lock:
                self.connections += 1
                self._open = [connection for connection in self._open if connection.lives]
                self._open.append(_Connection(self, client, self.connections))


class _Connection:
    """A client's connection and the one to the server, with a thread for each direction."""

    def __init__(self, proxy: PgProxy, client: socket.socket, number: int) -> None:
        self._proxy, self._client, self._number = proxy, client, number
        self._server: socket.socket | None = None
        self._half_open, self._is_mute = threading.Event(), threading.Event()
        self._statements = Statements()
        self._threads = [threading.Thread(target=self._run, name="pg-proxy client", daemon=True)]
        self._threads[0].start()

    @property
    def lives(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def cut(self) -> None:
        """Reset the client's side. The server's is closed, so that it carries out what it has."""
        with suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for side in (self._client, self._server):
            if side is not None:
                _hang_up(side)
        self._client.close()

    def end(self) -> None:
        """Close both sides, and wait for the threads."""
        self.cut()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(10)

    def _run(self) -> None:
        """Connect to the server, and pass on in both directions until one side ends."""
        try:
            first = self._first()
            with socket.create_connection((LOOPBACK, self._proxy.target)) as self._server:
                for side in (self._client, self._server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=self._answers, name="pg-proxy server", daemon=True)
                self._threads.append(back)
                back.start()
                kind = None if _FIRST.unpack_from(first)[1] == _CANCELS else Front.STARTUP
                if self._pass(Message(kind, "", first, self._number), self._server):
                    self._pump(self._client, self._server, Front)
                back.join()
        except (OSError, EOFError):
            pass
        finally:
            self._client.close()

    def _answers(self) -> None:
        assert self._server is not None
        with suppress(OSError):
            self._pump(self._server, self._client, Back)

    def _first(self) -> bytes:
        """Read until the client no longer asks for encryption; return the first other message."""
        while True:
            head = _exactly(self._client, _FIRST.size)
            length, code = _FIRST.unpack(head)
            rest = _exactly(self._client, length - _FIRST.size)
            if code not in _WANTS_ENCRYPTION:
                return head + rest
            self._client.sendall(b"N")

    def _pump(
        self, source: socket.socket, target: socket.socket, kinds: type[Front] | type[Back]
    ) -> None:
        """Pass on what comes; hang up at the end, unless the connection is half-open."""
        kept = bytearray()
        with suppress(OSError):
            while data := source.recv(1 << 16):
                kept += data
                if not all(self._pass(message, target) for message in self._messages(kept, kinds)):
                    break
        self._wait_if_half_open()
        _hang_up(target)
        _hang_up(source)

    def _messages(self, kept: bytearray, kinds: type[Front] | type[Back]) -> Iterator[Message]:
        """Take the complete messages from what was read."""
        while len(kept) >= _HEAD.size:
            letter, length = _HEAD.unpack_from(kept)
            if len(kept) < length + 1:
                return
            data = bytes(kept[: length + 1])
            del kept[: length + 1]
            kind = next((kind for kind in kinds if kind.value == letter), None)
            yield Message(kind, self._statements.of(kind, data[_HEAD.size :]), data, self._number)

    def _pass(self, message: Message, target: socket.socket) -> bool:
        """Pass a message on, or do what a rule says; return False if nothing follows."""
        if self._half_open.is_set() or (self._is_mute.is_set() and target is self._client):
            return False
        rule = self._proxy.passing(message)
        does = rule.does if rule else None
        if target is self._server:  # before it arrives: its answer may be quicker than the cut
            if does is Does.CUT_AFTER:
                self._is_mute.set()
            elif does is Does.HALF_OPEN_AFTER:
                self._half_open.set()
        if does is Does.DELAY and rule:
            self._proxy.closing.wait(rule.seconds)
        if does not in (Does.CUT, Does.HALF_OPEN):
            target.sendall(message.data)
        if does in (Does.HALF_OPEN, Does.HALF_OPEN_AFTER):
            self._half_open.set()
        elif does in (Does.CUT, Does.CUT_AFTER):
            self.cut()
        if rule:
            rule.fired.set()
        return does in (None, Does.DELAY)

    def _wait_if_half_open(self) -> None:
        """Keep both sockets until the proxy ends, or the connection is cut."""
        while self._half_open.is_set() and not self._proxy.closing.wait(0.05):
            if self._client.fileno() < 0:
                return


def _exactly(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = source.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _hang_up(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)


@contextmanager
def pg_proxy(target: int) -> Iterator[PgProxy]:
    """Have a proxy in front of a port for as long as the block lasts."""
    proxy = PgProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
