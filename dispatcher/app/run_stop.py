"""Stops a run: at signals, at the order to drain, and if too many contacts have failed."""

import asyncio
import signal
from typing import Any

import structlog

from dispatcher import early_signals
from dispatcher.app.service_status import ServiceStatus
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.events import Halted
from dispatcher.domain.status import HaltReason
from dispatcher.engine.pipeline import Pipeline
from dispatcher.ports import LedgerError
from dispatcher.settings import CampaignSettings

SIGNALS_TO_STOP = 2
"""How many signals end a run at once; the first one drains it."""


class RunStop:
    """Stops a run. ``log`` has the campaign."""

    def __init__(self, telemetry: RunTelemetry, service: ServiceStatus, log: Any) -> None:
        self._telemetry, self._service, self._log = telemetry, service, log
        self.signals = 0
        """How many signals came; the order to drain counts as one."""
        self.pipeline: Pipeline | None = None
        """None until it runs."""
        self._task: asyncio.Future[Any] | None = None

    def set_task(self, task: "asyncio.Future[Any]", pipeline: Pipeline | None = None) -> None:
        """Stop this task from now on, which runs ``pipeline`` if there is one."""
        self._task, self.pipeline = task, pipeline

    @property
    def at_once(self) -> bool:
        """Whether the signals end the run without a drain."""
        return self.signals >= SIGNALS_TO_STOP

    @property
    def in_flight(self) -> int:
        """How many contacts a drain waits for at most."""
        return self.pipeline.in_flight if self.pipeline is not None else 0

    def handle_signals(self) -> None:
        """Handle the signals of this process, and those that came before the loop ran."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.on_signal)
        for _ in early_signals.take():
            self.on_signal()

    def on_signal(self) -> None:
        """Drain at the first signal; end at once at the second, or before the pipeline runs."""
        self.signals += 1
        self._service.stop()
        if self.pipeline is not None and not self.at_once:
            self._log.info("run.draining", in_flight=self.pipeline.in_flight)
            self.pipeline.stop()
        elif self._task is not None:
            self._log.warning("run.stopped", signals=self.signals)
            self._task.cancel()

    def drain(self) -> int:
        """Drain as the first signal does, and return what is in flight; again it does nothing.

        Raises:
            LedgerError: the run is starting.

        """
        pipeline = self.pipeline
        if pipeline is None:
            raise LedgerError("this dispatcher cannot drain at present: it is starting; try again")
        if not pipeline.stopping:
            self.on_signal()
        return pipeline.in_flight

    def too_many_failed(self, campaign: CampaignSettings) -> None:
        """Stop the run: so many failures may have one cause, which would fail all contacts."""
        rules = campaign.rules
        share, sample_size = rules.stop_failed_share, rules.stop_failed_of
        detail = f"more than {share:.1%} of the last {sample_size} contacts were parked or refused"
        log = structlog.get_logger(campaign=campaign.name)
        log.error("run.too_many_failures", detail=detail)
        self._telemetry.sink(campaign.name).emit(Halted(HaltReason.FAILURES, detail))
        if self.pipeline is not None:
            self.pipeline.stop(failed=True)
