"""Posts of contacts over HTTP: what a server passes to the source of a campaign, and the result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class RequestKey(NamedTuple):
    """A request that its client may repeat: the key that the client gave it, and its content.

    ``digest`` is a hash of the body, so that the key of another content is recognised.
    """

    key: str
    digest: str


class RejectedPostRow(NamedTuple):
    """A row of a post that did not become a contact.

    ``row`` counts from 1; ``reason`` and ``detail`` are those of `RejectedRow`.
    """

    row: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the rows of a post; it is committed.

    ``admitted`` contacts are new, ``duplicates`` have a key that is known or is twice in the post,
    ``filtered`` are excluded by the filter of the source.
    """

    admitted: int
    duplicates: int
    filtered: int = 0
    rejected: Sequence[RejectedPostRow] = ()

    @property
    def rows(self) -> int:
        """The number of rows of the post."""
        return self.admitted + self.duplicates + self.filtered + len(self.rejected)


class PostLayout(StrEnum):
    """How the rows of a post are laid out, as its content type says."""

    AUTO = "auto"
    """By the first byte of the body."""
    JSON = "json"
    """An array of objects, or objects one behind the other."""
    LINES = "lines"
    """One object a line."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request with contacts. ``key`` is that of its client; empty if it has none."""

    body: bytes = field(repr=False)
    layout: PostLayout = PostLayout.AUTO
    key: str = ""


class PostRefusal(StrEnum):
    """Why nothing of a post is admitted."""

    MALFORMED = "malformed"
    TOO_MANY_ROWS = "too_many_rows"
    MISSING_COLUMNS = "missing_columns"
    KEY_REUSED = "key_reused"
    BUSY = "busy"
    BACKLOG = "backlog"
    PAUSED = "paused"
    CLOSED = "closed"
    STANDBY = "standby"
    """Another dispatcher leads."""


class PostRefusedError(Exception):
    """A post was refused as a whole; nothing of it was written.

    ``retry_after`` is after how many seconds the same post may be accepted; None if it never is.
    """

    def __init__(self, refusal: PostRefusal, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after
