"""What an error of an object store means: away for now, changed, or for a person to mend."""

import re
from collections.abc import Callable
from typing import TypeVar

from dispatcher.drivers.object_store import status_of
from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait
from dispatcher.sources.files.seekable_content import ChangedError

T = TypeVar("T")

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_NO_RANGES = "Range request not supported"
_METADATA = ("169.254.169.254", "metadata.google.internal", "metadata/identity")
"""Parts of addresses that are asked for credentials if no others were found."""

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE, PRECONDITION = 401, 403, 404, 409, 410, 412
_AGAIN = frozenset({408, 425, 429})
_HINTS = {
    UNAUTHORIZED: "the store does not accept the credentials: check them and their expiry",
    FORBIDDEN: "the credentials do not permit this: they need to list the bucket and to read its "
    "objects",
    NOT_FOUND: "there is no such bucket or object: check source.path",
    GONE: "it was deleted: check source.path",
}


def call_store(name: str, away: AwayWait, call: Callable[[], T]) -> T:
    """Return what a call of the store returns; wait while the store is away.

    ``name`` is the object's or the bucket's address. No text of the library is shown: it may have
    an address that is signed.

    Raises:
        ChangedError: the object has changed since it was listed.
        SourceError: a person must mend it: credentials, permissions, a bucket that is missing.

    """
    while True:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - the library's errors share no base class
            away.wait(_reason(name, error))
        else:
            away.is_back()
            return result


def _reason(name: str, error: Exception) -> str:
    """Return why the store is away; raise if it is not."""
    status = status_of(error)
    if status == PRECONDITION:
        raise ChangedError(
            f"{name}: it was replaced while it was read. The new object is read from its "
            "beginning, and rows that are known are duplicates"
        ) from None
    code = _CODE.search(str(error))
    shown = f"the store answers {status} {code.group(1)}" if code else f"the store answers {status}"
    if refusal := _refusal(error, status, shown):
        raise SourceError(f"{name}: {refusal}") from None
    return f"{name}: {shown if status else 'the store does not answer'}"


def _refusal(error: Exception, status: int | None, shown: str) -> str:
    """Return what a person must mend; empty if it may be over soon."""
    if status in _HINTS:
        return f"{shown}: {_HINTS[status]}"
    if _NO_RANGES in str(error):
        return (
            "the server does not answer requests for ranges, which are needed; copy the file to a "
            "folder, or to a server that does"
        )
    if any(part in str(error) for part in _METADATA):
        return (
            "no credentials were found; set the variables that the store's own tools use, or "
            "anonymous = true in [source.objects] for a public bucket"
        )
    if status is not None and status < 500 and status not in _AGAIN:  # noqa: PLR2004 - HTTP
        return f"{shown}; check source.path"
    return ""
