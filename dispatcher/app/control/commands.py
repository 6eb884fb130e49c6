"""The commands that a running dispatcher executes for its control socket."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from dispatcher.app.control.server import CommandFunction
from dispatcher.app.control.status_json import doubts_from_json, to_json
from dispatcher.engine.pipeline import Pipeline
from dispatcher.ports import LedgerError, Store
from dispatcher.ports.orders import (
    ApproveOrder,
    DropOrder,
    Order,
    OrderAnswer,
    PauseOrder,
    ReplayOrder,
    ResumeOrder,
    read_campaign,
)
from dispatcher.ports.questions import CampaignNames, StatusOf


class CommandHandler:
    """Executes commands: orders to the store, and what only the run itself can do.

    An order is done whole or not at all. The campaigns of this run are then paused or resumed one
    by one.
    """

    def __init__(
        self,
        store: Store,
        status: Callable[[], Mapping[str, object]],
        pipeline: Callable[[], Pipeline | None],
    ) -> None:
        """Execute commands in a store and in the run that uses it.

        ``status`` returns the run's status; ``pipeline`` returns None before its start.
        """
        self._store, self._run_status, self._pipeline = store, status, pipeline

    def by_name(self) -> dict[str, CommandFunction]:
        """Return all commands by name, as `serve_commands` takes them."""
        return {
            "status": self._status,
            "replay": lambda arguments: self._execute(ReplayOrder.from_arguments(arguments)),
            "drop": lambda arguments: self._execute(DropOrder.from_arguments(arguments)),
            "pause": lambda arguments: self._set_paused(PauseOrder.from_arguments(arguments)),
            "resume": lambda arguments: self._set_paused(ResumeOrder.from_arguments(arguments)),
            "approve": lambda arguments: self._approve(ApproveOrder.from_arguments(arguments)),
        }

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, object]:
        question = StatusOf(read_campaign(arguments), time.time())
        campaigns = map(to_json, await self._store.look(question))
        described = [self._with_doubts(campaign) for campaign in campaigns]
        return {"pid": os.getpid(), "campaigns": described, "run": self._run_status()}

    def _with_doubts(self, campaign: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a campaign's status with what its contacts in doubt wait for."""
        doubts, pipeline = doubts_from_json(campaign), self._pipeline()
        if doubts is None or pipeline is None:
            return campaign
        with suppress(LookupError):  # a campaign of the ledger that is not in this run
            doubts = pipeline.describe_doubts(str(campaign["campaign"]), doubts)
        return {**campaign, "in_doubt": asdict(doubts)}

    async def _execute(self, order: Order) -> OrderAnswer:
        answer = await self._store.order(order)
        if (pipeline := self._pipeline()) is not None:  # it looks for due contacts when it starts
            pipeline.wake()
        return answer

    async def _approve(self, order: ApproveOrder) -> OrderAnswer:
        pipeline, approved = self._pipeline(), {}
        if pipeline is None:
            raise LedgerError("this dispatcher is still starting; try again")
        for name in await self._store.look(CampaignNames(order.campaign)):
            with suppress(LookupError):  # a campaign of the ledger that is not in this run
                kind = pipeline.approve(name)
                if kind is not None:
                    approved[name] = kind
        return {"approved": approved}

    async def _set_paused(self, order: PauseOrder | ResumeOrder) -> OrderAnswer:
        pipeline = self._pipeline()
        if pipeline is None:
            raise LedgerError(
                f"this dispatcher cannot {order.name} a campaign at present; try again"
            )
        set_paused = pipeline.pause if isinstance(order, PauseOrder) else pipeline.resume
        answer = await self._execute(order)
        for name in await self._store.look(CampaignNames(order.campaign)):
            with suppress(LookupError):  # a campaign of the ledger that is not in this run
                await set_paused(name)
        return answer
