"""The messages of PostgreSQL's protocol, and the statement that each of them belongs to."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class Front(Enum):
    """What a client sends; STARTUP is the first message, which has no letter."""

    STARTUP = b""
    PASSWORD = b"p"
    QUERY = b"Q"
    PARSE = b"P"
    BIND = b"B"
    DESCRIBE = b"D"
    EXECUTE = b"E"
    SYNC = b"S"
    CLOSE = b"C"
    FLUSH = b"H"
    COPY_DATA = b"d"
    COPY_DONE = b"c"
    COPY_FAIL = b"f"
    TERMINATE = b"X"


class Back(Enum):
    """What the server sends."""

    AUTHENTICATION = b"R"
    PARAMETER = b"S"
    KEY = b"K"
    PARSED = b"1"
    BOUND = b"2"
    CLOSED = b"3"
    COLUMNS = b"T"
    PARAMETERS = b"t"
    NO_DATA = b"n"
    ROW = b"D"
    COMPLETE = b"C"
    EMPTY = b"I"
    ERROR = b"E"
    NOTICE = b"N"
    NOTIFICATION = b"A"
    COPY_IN = b"G"
    COPY_OUT = b"H"
    COPY_DATA = b"d"
    COPY_DONE = b"c"
    READY = b"Z"


@dataclass(frozen=True)
class Message:
    """One message that passes; ``connection`` is the number of its connection, from 1."""

    kind: Front | Back | None
    sql: str
    data: bytes = field(repr=False)
    connection: int = 0


class Statements:
    """Which statement each message of one connection belongs to."""

    def __init__(self) -> None:
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._last = ""
        self._awaited: deque[str | None] = deque()
        """The statements whose answers are to come; None ends those up to one ReadyForQuery."""
        self._lock = threading.Lock()

    def of(self, kind: Front | Back | None, body: bytes) -> str:
        """Return the text of the statement that a message belongs to, empty if there is none."""
        with self._lock:
            return self._sent(kind, body) if isinstance(kind, Front) else self._answered(kind)

    def _sent(self, kind: Front, body: bytes) -> str:
        parts = body.split(b"\0", 2)
        if kind is Front.QUERY:
            self._last = parts[0].decode()
            self._awaited += (self._last, None)
        elif kind is Front.PARSE:
            self._last = self._prepared[parts[0]] = parts[1].decode()
        elif kind is Front.BIND:
            self._last = self._portals[parts[0]] = self._prepared.get(parts[1], "")
        elif kind is Front.EXECUTE:
            self._last = self._portals.get(parts[0], "")
            self._awaited.append(self._last)
        elif kind is Front.SYNC:
            self._awaited.append(None)
        return self._last

    def _answered(self, kind: Front | Back | None) -> str:
        awaited = self._awaited
        current = (awaited[0] if awaited else None) or ""
        if kind is Back.READY:
            while awaited and awaited.popleft() is not None:
                pass
        elif kind in (Back.COMPLETE, Back.EMPTY) and None not in [*awaited][:2] and awaited:
            awaited.popleft()  # the answers of the next one of a pipeline follow
        return current


def steps(seen: Sequence[Message], sql: str) -> list[Front | Back]:
    """Return the kinds of the messages that belong to a statement, each once, in their order."""
    kinds = (message.kind for message in list(seen) if sql in message.sql)
    return list(dict.fromkeys(kind for kind in kinds if kind is not None))
