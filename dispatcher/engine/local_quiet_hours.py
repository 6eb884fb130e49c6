"""Quiet hours in each contact's own time zone."""

from collections.abc import Callable
from datetime import tzinfo
from enum import StrEnum

from dispatcher.domain.contact import Contact
from dispatcher.domain.quiet_hours import QuietHours, QuietPeriod
from dispatcher.engine.time_zones import find_zone

MOST_REPORTED = 100
"""How many different values that are no time zone are reported."""


class UnknownZone(StrEnum):
    """What becomes of a contact whose time zone is none that is known."""

    HOLD = "hold"
    """It waits until the setting permits more."""
    DEFAULT = "default"
    """The default time zone is used."""
    REJECT = "reject"
    """It is rejected for good."""


class LocalQuietHours:
    """Quiet hours in each contact's own time zone.

    The zone's name is the attribute ``column``; ``zone`` is for contacts without one. ``unknown``
    says what becomes of a contact with a value that is no zone; ``on_unknown`` is called once with
    each such value.
    """

    def __init__(
        self,
        hours: QuietHours,
        zone: tzinfo,
        column: str = "",
        unknown: UnknownZone = UnknownZone.HOLD,
        on_unknown: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._hours = hours
        self._zone = zone
        self._column = column
        self._unknown = unknown
        self._on_unknown = on_unknown
        self._reported: set[str] = set()
        self._periods: dict[tzinfo, QuietPeriod] = {}

    def objection(self, contact: Contact) -> UnknownZone | None:
        """Return what stops a contact whose zone is unknown; None if nothing does."""
        if not self._column:
            return None
        name = self._name(contact)
        if not name or find_zone(name) is not None:
            return None
        if name not in self._reported and len(self._reported) < MOST_REPORTED:
            self._reported.add(name)
            self._on_unknown(name)
        return None if self._unknown is UnknownZone.DEFAULT else self._unknown

    def until(self, contact: Contact, now: float) -> float | None:
        """Return when the contact's quiet time ends; None if ``now`` is not in it."""
        zone = self._zone
        if self._column and (name := self._name(contact)):
            zone = find_zone(name) or zone
        period = self._periods.get(zone)
        if period is None or not period.begin <= now < period.end:
            period = self._periods[zone] = self._hours.period_at(now, zone)
        return period.end if period.quiet else None

    def _name(self, contact: Contact) -> str:
        return contact.attributes.get(self._column, "").strip()
