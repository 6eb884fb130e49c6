"""The API for programs without an event loop, and for notebooks."""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from dispatcher.api.async_dispatcher import AsyncDispatcher
from dispatcher.api.options import Rows
from dispatcher.api.own_loop import run_to_end
from dispatcher.api.results import (
    DispatchInterrupted,
    DispatchResult,
    PlanResult,
    StatusResult,
    VerifyResult,
)

if TYPE_CHECKING:
    import pyarrow as pa


class Dispatcher:
    """Plans and dispatches rows, and reads what a ledger has; see `AsyncDispatcher`.

    Each method returns when its work is done. It runs that of `AsyncDispatcher` in a thread with an
    event loop of its own, so that it also works where a loop runs, as in a notebook. The parameters
    are those of `AsyncDispatcher`.

    A KeyboardInterrupt drains a dispatch: what was begun is finished, then `DispatchInterrupted` is
    raised, which is a KeyboardInterrupt with the result. A second one stops it at once; nothing is
    lost in either case, and a repeat sends what is left.
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
        self._name = campaign
        self._inner = AsyncDispatcher(
            campaign,
            ledger=ledger,
            platform_url=platform_url,
            text=text,
            settings=settings,
            config=config,
            progress=progress,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def plan(
        self,
        rows: Rows | None = None,
        *,
        sample: int | None = 400,
        ended_after: float = 60.0,
        seed: int | None = None,
    ) -> PlanResult:
        """Return what a dispatch of the rows would do; see `AsyncDispatcher.plan`."""
        return run_to_end(
            lambda: self._inner.plan(rows, sample=sample, ended_after=ended_after, seed=seed)
        )

    def dispatch(
        self,
        rows: Rows | None = None,
        *,
        limit: int | None = None,
        accept_suspicious: Collection[str] = (),
        adopt: bool = False,
    ) -> DispatchResult:
        """Send to each contact of the rows; see `AsyncDispatcher.dispatch`.

        Raises:
            DispatchInterrupted: a KeyboardInterrupt came, and it is drained.
            DispatcherError: the settings, the rows, the ledger or the credentials cannot be used.

        """
        result, interrupted = run_to_end(
            lambda: self._inner.dispatch_drained(
                rows, limit=limit, accept_suspicious=accept_suspicious, adopt=adopt
            )
        )
        if interrupted:
            raise DispatchInterrupted(result)
        return result

    def status(self) -> StatusResult:
        """Return the status of the campaign; see `AsyncDispatcher.status`."""
        return run_to_end(self._inner.status)

    def contacts(self, *statuses: str) -> "pa.Table":
        """Return the contacts of the campaign; see `AsyncDispatcher.contacts`."""
        return run_to_end(lambda: self._inner.contacts(*statuses))

    def rejected(self) -> "pa.Table":
        """Return the rows that could not become contacts; see `AsyncDispatcher.rejected`."""
        return run_to_end(self._inner.rejected)

    def lineage(self) -> "pa.Table":
        """Return which conversation continues which; see `AsyncDispatcher.lineage`."""
        return run_to_end(self._inner.lineage)

    def histories(self, contacts: str | Iterable[str] | None = None) -> "pa.Table":
        """Return all that was done for contacts; see `AsyncDispatcher.histories`."""
        return run_to_end(lambda: self._inner.histories(contacts))

    def verify(self, *, limit: int | None = None, min_age: float = 300.0) -> VerifyResult:
        """Ask the platform for each link; see `AsyncDispatcher.verify`."""
        return run_to_end(lambda: self._inner.verify(limit=limit, min_age=min_age))
