"""The API for programs with an event loop; `dispatcher.api.dispatcher` is the one for others."""

import asyncio
import os
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from dispatcher.api import reading, tables
from dispatcher.api.logs import own_logs, quieter
from dispatcher.api.options import CampaignOptions, Rows
from dispatcher.api.outcomes import dispatch_result, plan_result
from dispatcher.api.progress import RunView, open_bars
from dispatcher.api.results import DispatchResult, PlanResult, StatusResult, VerifyResult
from dispatcher.app.dry_run import plan_in_loop
from dispatcher.app.lineage_check import verify_in_loop
from dispatcher.app.run import run_in_loop
from dispatcher.domain.lineage_check import LinkVerdict
from dispatcher.domain.status import Status
from dispatcher.domain.suspicion import is_key
from dispatcher.engine.readonly.dry_run import ScanProgress
from dispatcher.engine.readonly.lineage_check import LineageCheckProgress
from dispatcher.ports import CommandError
from dispatcher.ports.questions import UnverifiedLinks

if TYPE_CHECKING:
    import pyarrow as pa


class AsyncDispatcher:
    """Plans and dispatches rows, and reads what a ledger has, in the event loop that is running.

    ``campaign`` names the campaign: a contact key gets one message in it, whatever happens.
    ``ledger`` is the file that remembers this, or the URL of its database; it is made if it does
    not exist. ``platform_url`` is the platform's address, ``text`` the template of the message.
    ``settings`` sets anything else by its key, such as ``{"platform.requests_per_minute": 600}``,
    and ``config`` is a configuration file, whose values all of these override. ``progress`` shows
    bars; by default in a notebook and at a terminal.

    Client id and secret come from the environment, or from the place that ``[credentials]`` of the
    settings names, and from nowhere else. Nothing is read or opened before a method is used.
    Messages of errors say what is wrong and what to do; all are a `DispatcherError`.
    """

    def __init__(  # noqa: PLR0913 - all but the first by name
        self,
        campaign: str | None = None,
        *,
        ledger: str | os.PathLike[str] | None = None,
        platform_url: str | None = None,
        text: str | None = None,
        settings: Mapping[str, object] | None = None,
        config: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> None:
        self._options = CampaignOptions(
            campaign, config, ledger, platform_url, text, settings or {}, progress
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._options.campaign!r})"

    async def plan(
        self,
        rows: Rows | None = None,
        *,
        sample: int | None = 400,
        ended_after: float = 60.0,
        seed: int | None = None,
    ) -> PlanResult:
        """Return what a dispatch of the rows would do. Nothing is sent, and nothing is written.

        ``sample`` is how many contacts' states are read, within the quota: None for all, 0 for
        none. A closed session is assumed to end within ``ended_after`` seconds. ``seed`` selects
        the same contacts of the same rows again. Without rows the source of the settings is read.

        Raises:
            DispatcherError: the settings, the rows or the ledger cannot be used, or the platform
                cannot be read.

        """
        if sample is not None and sample < 0:
            raise CommandError(f"sample is {sample}: it must be 0 or more, or None for all")
        prepared = await asyncio.to_thread(self._options.read, rows)
        settings = prepared.settings
        with own_logs(), open_bars(self._options.progress, "rows read", "states read") as bars:

            def show(scan: ScanProgress) -> None:
                states = scan.to_check if sample is None else min(sample, scan.to_check)
                read, known = scan.checked + scan.unread, scan.at_end
                bars.show((scan.rows, scan.rows if known else None), (read, states))

            report = await plan_in_loop(
                settings, show, sample=sample, ended_after=ended_after, seed=seed
            )
            show(report.progress)
        return plan_result(prepared, report)

    async def dispatch(
        self,
        rows: Rows | None = None,
        *,
        limit: int | None = None,
        accept_suspicious: Collection[str] = (),
        adopt: bool = False,
    ) -> DispatchResult:
        """Send to each contact of the rows, and to those that are left in the ledger.

        Nobody gets two messages, also if it is repeated after any crash: a repeat sends what is
        left. It returns when every contact is final, or due later than
        ``engine.wait_limit_seconds``. A cancellation drains it: what was begun is finished, and
        then the cancellation goes on. A second one stops it at once.

        ``limit`` is how many contacts are begun at most. ``accept_suspicious`` are causes that a
        halted dispatch named, for which it does not halt again. ``adopt`` accepts a ledger that is
        a copy: messages that were sent after the copy was made are sent again.

        Raises:
            DispatcherError: the settings, the rows, the ledger or the credentials cannot be used.

        """
        result, cancelled = await self.dispatch_drained(
            rows, limit=limit, accept_suspicious=accept_suspicious, adopt=adopt
        )
        if cancelled:
            raise asyncio.CancelledError(result.sentence)
        return result

    async def dispatch_drained(
        self, rows: Rows | None, *, limit: int | None, accept_suspicious: Collection[str],
        adopt: bool,
    ) -> tuple[DispatchResult, bool]:  # fmt: skip
        """Do what `dispatch` does; return the result also after a cancellation, and True then."""
        _check_limit(limit)
        if wrong := [cause for cause in accept_suspicious if not is_key(cause)]:
            raise CommandError(
                f"accept_suspicious: {wrong[0]!r} is not the name of a cause, such as "
                "check/404/e3b0c442; the log of a halted dispatch names it, and so does a plan"
            )
        prepared = await asyncio.to_thread(self._options.read, rows)
        settings, begun = quieter(prepared.settings), time.monotonic()
        with own_logs(), open_bars(self._options.progress, "contacts") as bars:
            view = RunView(bars)
            run, cancelled = await run_in_loop(
                settings, view, limit=limit, adopt=adopt, accepted=accept_suspicious
            )
            view.show_end(run.snapshots)
        seconds = time.monotonic() - begun
        return await asyncio.to_thread(dispatch_result, prepared, run, seconds), cancelled

    async def status(self) -> StatusResult:
        """Return the status of the campaign, or of all campaigns if none is named.

        It comes from the dispatcher that runs on the ledger, else from the ledger.

        Raises:
            DispatcherError: there is no ledger or no such campaign, or it cannot be read.

        """
        return await asyncio.to_thread(reading.read_status, self._options)

    async def contacts(self, *statuses: str) -> "pa.Table":
        """Return the contacts of the campaign without their messages, one a row.

        ``statuses`` selects them, such as "parked"; by default all are returned.

        Raises:
            DispatcherError: there is no ledger, campaign or status of that name, or the ledger
                cannot be read.

        """
        if wrong := [status for status in statuses if status not in [*Status]]:
            known = ", ".join(Status)
            raise CommandError(f"there is no status {wrong[0]!r}; there are: {known}")
        wanted = [*map(Status, statuses)] if statuses else [*Status]
        return await asyncio.to_thread(reading.read_contacts, self._options, wanted)

    async def rejected(self) -> "pa.Table":
        """Return the rows that could not become contacts, with their reasons, as the ledger has.

        Raises:
            DispatcherError: there is no ledger or no such campaign, or it cannot be read.

        """
        return await asyncio.to_thread(reading.read_rejected, self._options)

    async def lineage(self) -> "pa.Table":
        """Return which conversation continues which, one message a row; see docs/lineage.md.

        Raises:
            DispatcherError: there is no ledger or no such campaign, or it cannot be read.

        """
        return await asyncio.to_thread(reading.read_lineage, self._options)

    async def histories(self, contacts: str | Iterable[str] | None = None) -> "pa.Table":
        """Return all that was done for contacts: state checks, decisions, attempts, answers.

        ``contacts`` are contact keys, conversation ids or external contact ids; None: all contacts
        of the campaign. A row is one entry.

        Raises:
            DispatcherError: there is no ledger or no such contact, or it cannot be read.

        """
        names = [contacts] if isinstance(contacts, str) else contacts
        wanted = None if names is None else [str(name) for name in names]
        return await asyncio.to_thread(reading.read_histories, self._options, wanted)

    async def verify(self, *, limit: int | None = None, min_age: float = 300.0) -> VerifyResult:
        """Ask the platform's analytics for each link that is not confirmed yet, within the quota.

        The verdicts are stored in the ledger. ``limit`` is how many links are checked at most.
        Contacts that became final less than ``min_age`` seconds ago are left out, because the
        platform's analytics have a delay.

        Raises:
            DispatcherError: there is no ledger, a dispatcher uses it, or the platform cannot be
                read.

        """
        _check_limit(limit)
        settings = await asyncio.to_thread(self._options.load, "verify")
        query = UnverifiedLinks(time.time() - min_age, reading.campaign_of(settings))
        found = LineageCheckProgress(0, limit)
        with own_logs(), open_bars(self._options.progress, "links") as bars:
            await verify_in_loop(
                settings, query, found, lambda check: bars.show((check.checked, limit))
            )
            bars.show((found.checked, found.checked))
        counts = found.counts
        return VerifyResult(
            found.checked,
            counts[LinkVerdict.CONFIRMED],
            counts[LinkVerdict.MISSING],
            counts[LinkVerdict.DIFFERENT],
            tables.failing_table(found.failing),
        )


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise CommandError(f"limit is {limit}: it must be 1 or more, or None for all")
