"""Questions to a store, and its pages of rows, as plain values.

The type of a question names the type of its answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dispatcher.domain.doubts import Doubts
from dispatcher.domain.status import Status
from dispatcher.ports.leases import HeldLease
from dispatcher.ports.ledger_values import Backlog, Totals
from dispatcher.ports.orders import Selection
from dispatcher.ports.source import Stream
from dispatcher.ports.stored_rows import ContactRow, LineageRow, StoredRejectedRow

A_co = TypeVar("A_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class Question(Generic[A_co]):
    """A question whose answer is of type ``A_co``. The whole answer is from one moment."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """The status of one campaign at one moment.

    ``paused_since`` is in seconds since the epoch. ``doubts`` is None if no contact is in doubt.
    ``streams`` show how far each one was read, by fingerprint; the JSON form omits them.
    """

    campaign: str
    totals: Totals
    backlog: Backlog
    paused_since: float | None = None
    doubts: Doubts | None = None
    streams: Mapping[str, Stream] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CampaignNames(Question[Sequence[str]]):
    """The name of one campaign, or with None those of all, in the order they were added.

    A `CommandError` says that the store does not have the campaign.
    """

    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class StatusOf(Question[Sequence[CampaignStatus]]):
    """The status of one campaign, or with None of all, in the order they were added.

    ``now`` is in seconds since the epoch. A `CommandError` says that the store does not have the
    campaign.
    """

    campaign: str | None
    now: float


ParkedContact = Mapping[str, Any]
"""Ids, reason and counts of a parked contact by name, never a message."""


@dataclass(frozen=True, slots=True)
class ParkedContacts(Question[Sequence[ParkedContact]]):
    """The selected contacts, by campaign and in the order of their admission."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class HistoryOf(Question[Sequence[Mapping[str, Any]]]):
    """The facts and the history of the contacts with a key, conversation id or external id.

    They are JSON values without text, subject and address. The ids are compared only if no key is
    equal. A `CommandError` says that there is no such contact or campaign.
    """

    name: str
    campaign: str | None = None
    parked_only: bool = False


@dataclass(frozen=True, slots=True)
class DoubtsElsewhere(Question[Mapping[str, int]]):
    """The numbers of unsettled sends in all campaigns except these, by campaign."""

    campaigns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StandbyCount(Question[int]):
    """How many daemons wait for leases that others have."""


@dataclass(frozen=True, slots=True)
class LeasesNow(Question[Sequence[HeldLease]]):
    """The leases that daemons have, by kind and name; empty for a store that has no leases."""


@dataclass(frozen=True, slots=True)
class UnverifiedLinks:
    """Selects links that are not confirmed yet and that were settled long enough ago.

    ``settled_until`` is in seconds since the epoch; ``campaign`` None means all campaigns.
    """

    settled_until: float
    campaign: str | None = None


class PagedRows(Generic[R_co]):
    """Rows of type ``R_co`` that a store returns in pages."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LineageRows(PagedRows[LineageRow]):
    """The lineage of a campaign, or with None of all campaigns, in the order of the commits."""

    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class RejectedRows(PagedRows[StoredRejectedRow]):
    """The rejected rows of a campaign, in the order of the source."""

    campaign: str


@dataclass(frozen=True, slots=True)
class ContactRows(PagedRows[ContactRow]):
    """The contacts of a campaign with one status, in the order of their admission.

    A contact that gets the status later may come before a cursor.
    """

    campaign: str
    status: Status


BEGINNING = ""
"""The cursor before the first row."""


@dataclass(frozen=True, slots=True)
class Page(Generic[R_co]):
    """Some rows, and the cursor after the last of them.

    ``cursor`` is opaque text that stays valid: only the store that returned it can read it. A row
    that is added later than this page was read comes after its cursor. ``more`` is true if there
    may be another page now.
    """

    rows: Sequence[R_co]
    cursor: str
    more: bool
