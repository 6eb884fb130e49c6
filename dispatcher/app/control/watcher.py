"""Watches a running dispatcher through its control socket, also over its end and its restart."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dispatcher.app.control.client import ControlError, ControlUnavailableError, send_command
from dispatcher.app.control.ledger_watch import LedgerWatch
from dispatcher.app.control.snapshot_json import snapshot_from_json
from dispatcher.app.store import operator_store
from dispatcher.domain.contact_counts import final_counts
from dispatcher.domain.status import Status
from dispatcher.http_server.unix_socket import private_sockets
from dispatcher.ports import SOCKET_OFF, CommandError, LedgerError
from dispatcher.ports.questions import CampaignStatus
from dispatcher.ports.snapshot import (
    CampaignSnapshot,
    ConditionSnapshot,
    DoubtSnapshot,
    LedgerSnapshot,
    RatesSnapshot,
    RunSnapshot,
)
from dispatcher.settings import LedgerPlace

ANSWER_SECONDS = 5.0
"""How long a snapshot may take: it needs nothing but the event loop of the run."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of the run now.

    ``snapshot`` is the last one, with the pid 0 if no run has answered yet; None before the first
    look. ``trouble`` is why there is no newer one, since ``lost_at``; empty: it is of now.
    ``ended`` is true if no run answers at all: then the contacts are those of the ledger, unless
    ``unread`` says why it could not be read. ``earlier_pid`` is that of the run before, if there
    was one. ``leases`` has who leads, for a ledger on a server.
    """

    snapshot: RunSnapshot | None = None
    trouble: str = ""
    lost_at: float | None = None
    ended: bool = False
    earlier_pid: int | None = None
    leases: Sequence[Mapping[str, Any]] = ()
    unread: str = ""


class RunWatcher:
    """Takes one look after the other at the run of a ledger.

    ``campaign`` None shows all campaigns of the run. ``configured`` is the socket's path in the
    settings, if it has one: then it is found while the ledger is away.
    """

    def __init__(self, place: LedgerPlace, campaign: str | None, configured: str = "") -> None:
        self._place, self.campaign, self._configured = place, campaign, configured
        self._path = ""
        self._sight = Sight()
        self._ledger = LedgerWatch(place, campaign)

    @property
    def path(self) -> str:
        """The socket that answered last; empty if none does."""
        return self._path

    def look(self, *, first: bool = False) -> Sight:
        """Return what is known now. It blocks for some seconds if the run does not answer.

        Raises:
            DispatcherError: only for the ``first`` look: the run has no such campaign, takes no
                commands or does not answer.

        """
        try:
            snapshot = self._snapshot()
        except (ControlUnavailableError, LedgerError) as error:
            self._sight = self._ended(str(error))
        except (ControlError, ValueError) as error:
            if first:
                raise
            lost_at = self._sight.lost_at or time.time()
            self._sight = replace(self._sight, trouble=str(error), lost_at=lost_at, ended=False)
        else:
            self._sight = self._newest(snapshot)
        return self._sight

    def _snapshot(self) -> RunSnapshot:
        path = self._path or self._find()
        try:
            snapshot = self._ask(path)
        except ControlUnavailableError:
            self._path = ""
            raise
        self._path = path
        return snapshot

    def _ask(self, path: str) -> RunSnapshot:
        snapshot = snapshot_from_json(send_command(path, "snapshot", {}, ANSWER_SECONDS))
        if self.campaign is None:
            return snapshot
        chosen = [one for one in snapshot.campaigns if one.name == self.campaign]
        if not chosen:
            names = ", ".join(one.name for one in snapshot.campaigns)
            raise CommandError(
                f"the running dispatcher has no campaign {self.campaign!r}; it has: {names}"
            )
        return replace(snapshot, campaigns=chosen)

    def _find(self) -> str:
        """Return the path of the run's socket.

        Raises:
            ControlUnavailableError: no run has recorded one.
            ControlError: the run takes no commands.
            LedgerError: the ledger cannot be read, and no socket was found without it.

        """
        try:
            path = operator_store(self._place).socket()
        except LedgerError:
            if (found := self._search()) is not None:
                return found
            raise
        if path == SOCKET_OFF:
            raise ControlError(
                "the running dispatcher takes no commands: its control.socket is off. "
                "`dispatcher status` reads the ledger"
            )
        if not path:
            raise ControlUnavailableError("no dispatcher is running")
        return path

    def _search(self) -> str | None:
        """Return the socket of a run that has this ledger, without a look at the ledger."""
        paths: Iterable[str] = [self._configured] if self._configured else ()
        for path in (*paths, *map(str, private_sockets())):
            try:
                if self._ask(path).ledger.name == self._place.whole:
                    return path
            except (ControlError, ValueError):
                continue
        return None

    def _newest(self, snapshot: RunSnapshot) -> Sight:
        before = self._sight.snapshot
        earlier = self._sight.earlier_pid
        if before is not None and before.pid not in (0, snapshot.pid):
            earlier = before.pid
        self._ledger.forget()
        leases: Sequence[Mapping[str, Any]] = ()  # while the ledger is away nobody knows who leads
        if snapshot.ledger.on_server and snapshot.ledger.away_since is None:
            leases = self._ledger.look(contacts=False).leases
        return Sight(snapshot, earlier_pid=earlier, leases=leases)

    def _ended(self, why: str) -> Sight:
        """Return the contacts as the ledger has them, before or after a run."""
        sight, now = self._sight, time.time()
        last = sight.snapshot or RunSnapshot(0, now, now)
        found = self._ledger.look(contacts=True)
        known = {one.name: one for one in last.campaigns}
        if found.campaigns is None:
            campaigns = [without_run(one) for one in last.campaigns]
        else:
            campaigns = [
                campaign_of_ledger(one, known.get(one.campaign), found.read_at)
                for one in found.campaigns
                if not last.pid or one.campaign in known
            ]
        ledger = LedgerSnapshot(last.ledger.name, last.ledger.on_server)
        return Sight(
            replace(last, campaigns=campaigns, ledger=ledger, leases=()),
            why,
            sight.lost_at or now,
            ended=True,
            earlier_pid=sight.earlier_pid,
            leases=found.leases,
            unread=found.unread,
        )


def without_run(campaign: CampaignSnapshot) -> CampaignSnapshot:
    """Return a campaign without what only a run knows of it."""
    return replace(
        campaign,
        condition=ConditionSnapshot("no run"),
        rates=RatesSnapshot(),
        source=None,
        waits=(),
    )


def campaign_of_ledger(
    status: CampaignStatus, last: CampaignSnapshot | None, now: float
) -> CampaignSnapshot:
    """Return a campaign as the ledger has it; ``last`` is what its run showed last."""
    doubts = status.totals.by_status.get((Status.IN_DOUBT, None), 0)
    paused = {} if status.paused_since is None else {"paused": status.paused_since}
    return replace(
        without_run(CampaignSnapshot(status.campaign) if last is None else last),
        outcomes=final_counts(status.totals.by_status),
        due=status.backlog.due,
        later=status.backlog.later,
        busy=status.backlog.claimed_or_sending,
        oldest_due=status.backlog.oldest_due,
        next_due=status.backlog.next_due,
        in_doubt=DoubtSnapshot(doubts) if doubts else None,
        halts=paused,
        read_at=now,
    )
