"""Answers as values, and their bytes on the wire."""

from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

import orjson

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Response(NamedTuple):
    """One answer; ``cause`` is the name of a refusal in the counts."""

    status: int
    body: bytes
    cause: str | None = None
    headers: bytes = b""
    """Header lines with their line ends."""
    content_type: bytes = JSON


def response(status: int, body: object) -> Response:
    """Return an answer with a JSON body."""
    return Response(status, orjson.dumps(body))


class Stamp:
    """Correlation ids and the Date header, cheap enough for every answer."""

    def __init__(self, seed: int) -> None:
        self._prefix = f"{seed & 0xFFFFFFFF:08x}-0000-4000-8000-"
        self._number = 0
        self._second = -1
        self._date = b""

    def correlation(self) -> str:
        """Return the next id, in the shape of a UUID."""
        self._number += 1
        return f"{self._prefix}{self._number:012x}"

    def date(self, wall: float) -> bytes:
        """Return the value of the Date header."""
        second = int(wall)
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date


def render(
    answer: Response, correlation: str, date: bytes, rate_lines: bytes, *, keep_alive: bool
) -> bytes:
    """Return an answer's bytes on the wire."""
    return (
        b"%bContent-Type: %b\r\nContent-Length: %d\r\nDate: %b\r\n"
        b"ININ-Correlation-Id: %b\r\n%b%b%b\r\n%b"
    ) % (
        _STATUS_LINES[answer.status],
        answer.content_type,
        len(answer.body),
        date,
        correlation.encode(),
        rate_lines,
        answer.headers,
        b"" if keep_alive else b"Connection: close\r\n",
        answer.body,
    )
