"""Sends the lineage of a ledger to one sink, without a run."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from dispatcher.app.control.client import ControlError, send_command
from dispatcher.app.sinks import make_target
from dispatcher.app.store import open_lineage_log
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.growing_pause import GrowingPause
from dispatcher.ports import SOCKET_OFF, CommandError, LedgerError, LedgerLockedError
from dispatcher.ports.sink import LineageLog, LineageRange, Part, SinkError
from dispatcher.settings import Settings
from dispatcher.settings.sinks import SinkOfAKind, WebhookSettings
from dispatcher.sinks.ranges import PARTS, RangeSender

TRY_SECONDS = 10.0
"""How long a sink that fails is tried again; a person waits for the command."""


class SinkChoiceError(DispatcherError):
    """The lineage cannot go to the sink that was named; the message has those that it can go to."""

    exit_code = ExitCode.USAGE


@dataclass(slots=True)
class Sent:
    """What has gone out so far: ``rows`` are new ones, ``verdicts`` those that were verified later.

    ``passed`` is how many of the ``waiting`` places of new rows it is through, with the rows of
    other campaigns.
    """

    waiting: int = 0
    passed: int = 0
    rows: int = 0
    verdicts: int = 0
    ranges: int = 0
    seconds: float = 0.0


ShowSent = Callable[[Sent], None]
"""Shows how much has gone out."""
Report = Callable[[str], None]
"""Says something to a person while the command goes on."""


def find_sink(settings: Settings, name: str, campaign: str | None = None) -> SinkOfAKind:
    """Return the settings of a sink that takes lineage.

    ``campaign`` is the only one whose rows are wanted; None: those that the sink has.

    Raises:
        SinkChoiceError: there is none of this name, it is a webhook, or it takes other campaigns.

    """
    if not settings.sinks:
        raise SinkChoiceError(
            f"no sink has the name {name}: the settings have no [[sinks]]; name the configuration "
            "that has them with --config"
        )
    lineage = [sink for sink in settings.sinks if not isinstance(sink, WebhookSettings)]
    names = ", ".join(sink.name for sink in lineage)
    choice = f"sinks of [[sinks]] that take lineage: {names or 'none'}"
    if name in [sink.name for sink in settings.sinks if isinstance(sink, WebhookSettings)]:
        raise SinkChoiceError(f"sink {name} is a webhook: it gets notices and no lineage; {choice}")
    for sink in lineage:
        if sink.name == name:
            if campaign is not None and list(sink.campaigns) != [campaign]:
                raise SinkChoiceError(
                    f"sink {name} has one place for all its campaigns, so with --campaign the rows "
                    "of others would never go out: leave it out, or set campaigns = "
                    f'["{campaign}"] for the sink, or export to a file'
                )
            return sink
    raise SinkChoiceError(f"no sink has the name {name}; {choice}")


def send_lineage(settings: Settings, sink: SinkOfAKind, show: ShowSent, report: Report) -> Sent:
    """Send what the sink does not have yet; the place in the ledger is that of a run's sink.

    Raises:
        LedgerError: there is no ledger, it cannot be written, or a run has it for itself.
        SinkError: the sink fails for about `TRY_SECONDS`, or cannot be opened.
        CredentialsError, SourceError: its password cannot be read.

    """
    return uvloop.run(_send(settings, sink, show, report))


async def _send(settings: Settings, sink: SinkOfAKind, show: ShowSent, report: Report) -> Sent:
    target = make_target(sink, settings.environment)
    try:
        async with _open_log(settings, sink.name) as log:
            sender = RangeSender(sink.name, log, target, sink.campaigns, sink.rows_per_range)
            return await _Sending(sender, show, report).run()
    finally:
        await target.close()


class _Sending:
    """Sends range after range, and counts and shows what has gone out."""

    def __init__(self, sender: RangeSender, show: ShowSent, report: Report) -> None:
        self._sender = sender
        self._show = show
        self._report = report
        self._sent = Sent()

    async def run(self) -> Sent:
        """Send all that the sink does not have."""
        started, sent = time.monotonic(), self._sent
        sent.waiting = await self._sender.lag()
        if run := self._sender.sender:
            raise SinkError(
                f"sink {self._sender.name}: the dispatcher {run} sends to it by itself, and "
                f"{sent.waiting:,} rows wait. Nothing was done; dispatcher status shows what waits"
            )
        for part in PARTS:
            while lineage := await self._send_next(part):
                await self._count(lineage)
                self._show(sent)
        sent.seconds = time.monotonic() - started
        return sent

    async def _count(self, lineage: LineageRange) -> None:
        sent = self._sent
        sent.ranges += 1
        if lineage.part == "rows":
            sent.rows += len(lineage.rows)
            sent.passed = sent.waiting - await self._sender.lag()
        else:
            sent.verdicts += len(lineage.rows)

    async def _send_next(self, part: Part) -> LineageRange | None:
        """Send the next range; try again for a while if the sink fails."""
        pause, started, reported = GrowingPause(random.random), time.monotonic(), ""
        while True:
            try:
                return await self._sender.send_next(part)
            except SinkError as error:
                wait, seconds = pause.next(), time.monotonic() - started
                if seconds + wait > TRY_SECONDS:
                    raise SinkError(f"{error}\n{self._what_waits(seconds)}") from error
                if str(error) != reported:
                    reported = str(error)
                    self._report(f"{reported}; trying again")
                await asyncio.sleep(wait)

    def _what_waits(self, seconds: float) -> str:
        sent = self._sent
        return (
            f"It was tried for {seconds:.0f} s. {sent.rows:,} rows have gone out, and up to "
            f"{sent.waiting - sent.passed:,} wait in the ledger. Mend the sink (dispatcher check "
            "--online opens it), and repeat the command: it continues there"
        )


@asynccontextmanager
async def _open_log(settings: Settings, sink: str) -> AsyncIterator[LineageLog]:
    """Open the lineage, or say in the words of this command why that is not possible."""
    place = settings.ledger_place
    async with AsyncExitStack() as stack:
        try:
            log = await stack.enter_async_context(open_lineage_log(settings))
        except LedgerLockedError as locked:
            raise LedgerError(f"ledger {place}: {_who_sends(locked, sink)}") from None
        except LedgerError as error:
            if place.file is None or _may_write(place.file):
                raise
            raise LedgerError(
                f"{error}. The place of a sink is in the ledger, so this must be written; "
                "dispatcher lineage export --out FILE only reads it"
            ) from None
        yield log


def _may_write(path: Path) -> bool:
    """Return whether a ledger and the files beside it can be written by this user."""
    ids = os.access in os.supports_effective_ids
    places = path, path.parent
    return all(os.access(place, os.W_OK, effective_ids=ids) for place in places)


def _who_sends(locked: LedgerLockedError, sink: str) -> str:
    """Return what the process that has the ledger does with the sink, and what to do."""
    holder = f"(pid {locked.holder})"
    sinks = _sinks_of_run(locked)
    if sinks is None:
        return (
            f"another process {holder} uses it. A dispatcher that has sink {sink} in its "
            "configuration sends to it by itself. Wait for the process or stop it, and repeat the "
            "command"
        )
    if sink not in sinks:
        return (
            f"the running dispatcher {holder} does not send to sink {sink}: it is starting, or its "
            "configuration has no such sink. Restart it with this configuration: then it sends by "
            "itself. Or stop it, and repeat the command"
        )
    state = sinks[sink]
    failing = f" The sink fails: {state['error']}." if state["error"] else ""
    return (
        f"sink {sink} is already running: the dispatcher {holder} sends to it by itself, and "
        f"{state['lag']:,} rows wait.{failing} Nothing was done; dispatcher status shows what waits"
    )


def _sinks_of_run(locked: LedgerLockedError) -> Mapping[str, Any] | None:
    """Return the state of each sink of the run; None if it does not answer."""
    if locked.socket in ("", SOCKET_OFF):
        return None
    try:
        run = send_command(locked.socket, "status", {"campaign": None})["run"]
    except (ControlError, CommandError):
        return None
    sinks: Mapping[str, Any] = run["sinks"]
    return sinks
