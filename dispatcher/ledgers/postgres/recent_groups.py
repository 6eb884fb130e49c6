"""The contacts of the last groups, to name them if the server has lost its commits."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

KEPT_SECONDS = 600.0
"""How long contacts are kept; longer if nothing was committed since."""
MAX_CONTACTS = 200_000
"""Contacts that are kept at most."""


class LostContact(NamedTuple):
    """A contact of which something was committed that the server has lost.

    ``campaign`` and ``key`` are empty if nobody knows them any more. ``id`` is 0 for a contact that
    was admitted and not claimed since.
    """

    id: int
    campaign: str
    key: str


class _Group(NamedTuple):
    """What a group has changed: see `RecentGroups.add`; ``at`` is in monotonic seconds."""

    number: int
    at: float
    ids: Sequence[int]
    keys: Mapping[int, str]
    campaign: str
    unclaimed: Sequence[str]

    @property
    def contacts(self) -> int:
        return len(self.ids) + len(self.unclaimed)


class RecentGroups:
    """Ids of the contacts of each group, and the keys of those that it claimed or admitted."""

    def __init__(self) -> None:
        self._groups: deque[_Group] = deque()
        self._contacts = 0
        self.forgotten = 0
        """The number of the last group whose contacts are not known any more; 0: there is none."""

    def add(
        self,
        number: int,
        ids: Sequence[int],
        keys: Mapping[int, str],
        campaign: str = "",
        unclaimed: Sequence[str] = (),
    ) -> None:
        """Remember a group that was committed, and forget those that are too old.

        ``keys`` are those of the contacts ``ids`` that are known, ``unclaimed`` those of contacts
        whose ids are not known.
        """
        now = time.monotonic()
        group = _Group(number, now, ids, keys, campaign, unclaimed)
        self._groups.append(group)
        self._contacts += group.contacts
        while self._groups and (
            self._groups[0].at < now - KEPT_SECONDS or self._contacts > MAX_CONTACTS
        ):
            old = self._groups.popleft()
            self.forgotten = old.number
            self._contacts -= old.contacts

    def after(self, number: int) -> Mapping[int, LostContact]:
        """Return the contacts of all groups after one whose ids are known, by id."""
        found: dict[int, LostContact] = {}
        for group in self._groups:
            if group.number > number:
                for id_ in group.ids:
                    known = found.get(id_)
                    if known is None or not known.key:
                        key = group.keys.get(id_, "")
                        found[id_] = LostContact(id_, group.campaign if key else "", key)
        return found

    def unclaimed_after(self, number: int) -> Sequence[LostContact]:
        """Return the contacts of all groups after one that were admitted and not claimed since."""
        claimed = {(it.campaign, it.key) for it in self.after(number).values()}
        return [
            LostContact(0, group.campaign, key)
            for group in self._groups
            if group.number > number
            for key in group.unclaimed
            if (group.campaign, key) not in claimed
        ]
