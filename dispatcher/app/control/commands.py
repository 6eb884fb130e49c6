"""The commands that a running dispatcher executes for its control socket."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from dispatcher.app.control.server import CommandFunction
from dispatcher.engine.pipeline import Pipeline
from dispatcher.ledgers import operator_commands
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.read.status import doubts_from_json
from dispatcher.ports import LedgerError


class CommandHandler:
    """Executes commands; each is one job of the ledger's writer: it is done whole or not at all."""

    def __init__(
        self,
        ledger: SqliteLedger,
        status: Callable[[], Mapping[str, object]],
        pipeline: Callable[[], Pipeline | None],
    ) -> None:
        """Execute commands in a ledger and in the run that uses it.

        ``status`` returns the run's status; ``pipeline`` returns None before its start.
        """
        self._ledger, self._run_status, self._pipeline = ledger, status, pipeline

    def by_name(self) -> dict[str, CommandFunction]:
        """Return all commands by name, as `serve_commands` takes them."""
        return {
            "status": self._status,
            "replay": partial(self._execute, "replay"),
            "drop": partial(self._execute, "drop"),
            "pause": partial(self._set_paused, "pause"),
            "resume": partial(self._set_paused, "resume"),
            "approve": self._approve,
        }

    async def _status(self, arguments: Mapping[str, Any]) -> Mapping[str, object]:
        campaigns = await operator_commands.statuses(self._ledger, arguments.get("campaign"))
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

    async def _execute(
        self, name: str, arguments: Mapping[str, Any]
    ) -> operator_commands.CommandAnswer:
        answer = await operator_commands.execute(self._ledger, name, arguments)
        if (pipeline := self._pipeline()) is not None:  # it looks for due contacts when it starts
            pipeline.wake()
        return answer

    async def _approve(self, arguments: Mapping[str, Any]) -> operator_commands.CommandAnswer:
        pipeline, approved = self._pipeline(), {}
        if pipeline is None:
            raise LedgerError("this dispatcher is still starting; try again")
        names = await operator_commands.campaign_names(self._ledger, arguments.get("campaign"))
        for name in names:
            with suppress(LookupError):  # a campaign of the ledger that is not in this run
                kind = pipeline.approve(name)
                if kind is not None:
                    approved[name] = kind
        return {"approved": approved}

    async def _set_paused(
        self, verb: str, arguments: Mapping[str, Any]
    ) -> operator_commands.CommandAnswer:
        pipeline = self._pipeline()
        if pipeline is None:
            raise LedgerError(f"this dispatcher cannot {verb} a campaign at present; try again")
        set_paused = pipeline.pause if verb == "pause" else pipeline.resume
        answer = await self._execute(verb, arguments)
        names = await operator_commands.campaign_names(self._ledger, arguments.get("campaign"))
        for name in names:
            with suppress(LookupError):  # a campaign of the ledger that is not in this run
                await set_paused(name)
        return answer
