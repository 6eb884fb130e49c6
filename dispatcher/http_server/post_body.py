"""The body of a post: how it is encoded, how large it may be, and how long it may take."""

import asyncio
import zlib

from aiohttp import web

BODY_SECONDS = 30.0
"""How long a body may take to arrive."""
GZIP = ("gzip", "x-gzip")
_GZIP_WINDOW = 31
"""What zlib calls the format of gzip."""


class TooLargeError(Exception):
    """A body has more bytes than are accepted, as it was sent or decompressed."""


class SlowBodyError(Exception):
    """A body did not arrive in time."""


class DamagedBodyError(Exception):
    """A body cannot be decompressed; the message says why."""


class UnknownEncodingError(Exception):
    """A body is encoded as it cannot be read."""


async def read_body(request: web.Request, most_bytes: int) -> bytes:
    """Return the body of a request, decompressed.

    The server must not decompress it: for content that is damaged it has an answer of its own.

    Raises:
        TooLargeError, SlowBodyError, DamagedBodyError, UnknownEncodingError: as they say.

    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *GZIP):
        raise UnknownEncodingError
    if (request.content_length or 0) > most_bytes:
        raise TooLargeError
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLargeError from None
    except TimeoutError:
        raise SlowBodyError from None
    if encoding in GZIP:
        body = _decompress(body, most_bytes)
    if len(body) > most_bytes:
        raise TooLargeError
    return body


def _decompress(body: bytes, most_bytes: int) -> bytes:
    """Return what a body has; of one that has more than ``most_bytes`` the first part."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = inflater.decompress(body, most_bytes + 1)
    except zlib.error:
        raise DamagedBodyError("the body is not gzip, as its Content-Encoding says") from None
    if len(content) <= most_bytes and not inflater.eof:
        raise DamagedBodyError("the content of gzip is cut short")
    if inflater.unused_data:
        raise DamagedBodyError("there is something after the end of the gzip content")
    return content
