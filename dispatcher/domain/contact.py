"""The contact: one person to notify about one earlier conversation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT_LIMIT = 2000
"""Characters a message may have (source: platform contract, notify and open linked)."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One row of the input, checked and with its message text rendered.

    ``key`` is unique for ever within a campaign. ``not_before`` and ``expires_at`` are
    seconds since the epoch. ``attributes`` holds every input column without a meaning of its
    own; it is carried to the lineage.
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
    """A row of the input that cannot become a contact, kept for a person to mend.

    ``line`` is the 1-based number of the row's first line, ``reason`` a stable word,
    ``detail`` a sentence for people, ``raw`` the row's bytes (cut at a bound).
    """

    file: str
    line: int
    reason: str
    detail: str
    raw: bytes = field(repr=False)
