"""Runs the pipeline of a run to its end, and shows its progress meanwhile."""

import asyncio
from contextlib import AsyncExitStack

from dispatcher.app.loop_lag import LoopLag
from dispatcher.app.progress_view import ProgressView
from dispatcher.app.run_stop import RunStop
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.app.wiring import make_policy
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.run_options import PipelineOptions, RunOutcome
from dispatcher.settings import Settings

GAUGE_SECONDS = 2.0
"""How often the gauges are emitted."""
VIEW_SECONDS = 0.5
"""How often the progress view is updated."""


def pipeline_options(settings: Settings, loop_lag: LoopLag, *, once: bool) -> PipelineOptions:
    """Return the options of a run's pipeline; ``loop_lag`` is what its gauges show."""
    engine = settings.engine
    limited = settings.origin("engine.wait_limit_seconds") is not None
    return PipelineOptions(
        workers=engine.workers,
        once=once,
        wait_limit=engine.wait_limit_seconds,
        doubt_limit=0.0 if limited else make_policy(settings).reconcile.proved_within,
        drain_seconds=engine.drain_seconds,
        gauge_seconds=GAUGE_SECONDS,
        by_priority=engine.sharing == "priority",
        loop_lag=loop_lag.take,
    )


async def run_pipeline(
    pipeline: Pipeline, stop: RunStop, telemetry: RunTelemetry, view: ProgressView | None,
    stack: AsyncExitStack,
) -> RunOutcome | None:  # fmt: skip
    """Run the pipeline, which ``stop`` may stop; return None if a second signal ended it.

    The view stays until the stack is closed.
    """
    running = asyncio.ensure_future(pipeline.run())
    stop.set_task(running, pipeline)
    showing: asyncio.Future[None] | None = None
    if view is not None:
        stack.enter_context(view)
        showing = asyncio.ensure_future(_show(view, telemetry))
    try:
        return await running
    except asyncio.CancelledError:
        if not stop.at_once:
            raise
        return None
    finally:
        if showing is not None:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)


async def _show(view: ProgressView, telemetry: RunTelemetry) -> None:
    while True:
        view.update(telemetry.snapshots())
        await asyncio.sleep(VIEW_SECONDS)
