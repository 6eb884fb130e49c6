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

    ``campaign`` and ``key`` are empty if the server does not know the contact any more.
    """

    id: int
    campaign: str
    key: str


class RecentGroups:
    """Ids of the contacts of each group, and the keys of those that it admitted."""

    def __init__(self) -> None:
        self._groups: deque[tuple[int, float, Sequence[int], Mapping[int, str], str]] = deque()
        self._contacts = 0
        self.forgotten = 0
        """The number of the last group whose contacts are not known any more; 0: there is none."""

    def add(
        self, number: int, ids: Sequence[int], keys: Mapping[int, str], campaign: str = ""
    ) -> None:
        """Remember a group that was committed, and forget those that are too old."""
        now = time.monotonic()
        self._groups.append((number, now, ids, keys, campaign))
        self._contacts += len(ids)
        while self._groups and (
            self._groups[0][1] < now - KEPT_SECONDS or self._contacts > MAX_CONTACTS
        ):
            self.forgotten, _, old, *_ = self._groups.popleft()
            self._contacts -= len(old)

    def after(self, number: int) -> Mapping[int, LostContact]:
        """Return the contacts of all groups after one, by id."""
        found: dict[int, LostContact] = {}
        for of, _, ids, keys, campaign in self._groups:
            if of > number:
                for id_ in ids:
                    known = found.get(id_)
                    if known is None or not known.key:
                        key = keys.get(id_, "")
                        found[id_] = LostContact(id_, campaign if key else "", key)
        return found
