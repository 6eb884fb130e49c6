"""Asks a ledger again and again for a view, which never waits long for the answer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

from dispatcher.app.leadership import held_json
from dispatcher.app.store import operator_store
from dispatcher.ports import CommandError, LedgerError
from dispatcher.ports.questions import CampaignStatus, LeasesNow, StatusOf
from dispatcher.settings import LedgerPlace

LEDGER_SECONDS = 5.0
"""How often the ledger is asked."""
WAIT_SECONDS = 0.5
"""How long a look waits for an answer; a later answer is for the next look."""


@dataclass(frozen=True, slots=True)
class LedgerSight:
    """What is known of a ledger: ``campaigns`` at ``read_at``, and who leads.

    ``campaigns`` is None until the ledger has answered. ``unread`` is why it cannot be read; then
    nothing else is known. It is empty if it can.
    """

    campaigns: Sequence[CampaignStatus] | None = None
    leases: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    read_at: float = 0.0
    unread: str = ""


class LedgerWatch:
    """Asks in a thread, so that a server that does not answer delays no look.

    ``campaign`` None asks for all campaigns.
    """

    def __init__(self, place: LedgerPlace, campaign: str | None) -> None:
        self._place, self._campaign = place, campaign
        self._sight = LedgerSight()
        self._asking: Thread | None = None
        self._due = 0.0

    def look(self, *, contacts: bool) -> LedgerSight:
        """Return what is known now: who leads, and with ``contacts`` also the campaigns."""
        due = time.monotonic() >= self._due
        missing = contacts and self._sight.campaigns is None and not self._sight.unread
        if (self._asking is None or not self._asking.is_alive()) and (due or missing):
            self._asking = Thread(target=self._ask, args=(contacts,), daemon=True)
            self._asking.start()
        if self._asking is not None:
            self._asking.join(WAIT_SECONDS)
        return self._sight

    def forget(self) -> None:
        """Forget the campaigns: a run that answers has newer ones."""
        self._sight = replace(self._sight, campaigns=None, unread="")

    def _ask(self, contacts: bool) -> None:  # noqa: FBT001 - an argument of a thread
        now = time.time()
        try:
            store = operator_store(self._place)
            campaigns = store.look(StatusOf(self._campaign, now)) if contacts else None
            leases = [held_json(one) for one in store.look(LeasesNow())]
        except (LedgerError, CommandError) as error:
            self._sight = LedgerSight(unread=str(error))
        else:
            self._sight = LedgerSight(campaigns, leases, now)
        self._due = time.monotonic() + LEDGER_SECONDS
