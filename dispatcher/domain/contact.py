"""The contact: one person to notify about one earlier conversation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.domain.value_class import value_class

TEXT_LIMIT = 2000
"""Maximum number of characters of a message (source: platform contract, notify, open linked)."""


@value_class
class Contact:
    """One row of the input, checked and with its message text rendered.

    ``key`` is unique within a campaign for ever. ``not_before`` and ``expires_at`` are seconds
    since the epoch. ``attributes`` are all input columns without another meaning; the lineage
    export contains them.
    """

    key: str
    conversation_id: str
    text: str = field(repr=False)
    external_contact_id: str | None = None
    address: str | None = field(default=None, repr=False)
    subject: str | None = field(default=None, repr=False)
    not_before: float | None = None
    expires_at: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of the input that is not a valid contact, kept so that a person can correct it.

    ``line`` is the 1-based number of the row's first line, ``reason`` a stable identifier,
    ``detail`` a sentence for people without any value of the row, ``raw`` the row's bytes
    (truncated if they are many).
    """

    file: str
    line: int
    reason: str
    detail: str
    raw: bytes = field(repr=False)
