"""``dispatcher run``: settings, then the run, then its summary."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from dispatcher import app
from dispatcher.cli import progress, summary
from dispatcher.cli.config import load_settings
from dispatcher.cli.exit_codes import Exit, say
from dispatcher.settings import Settings, warnings
from dispatcher.telemetry.stats.merge import merge_snapshots

_ENDINGS = {
    app.RunOutcome.DONE: (Exit.DONE, "done"),
    app.RunOutcome.DRAINED: (Exit.DONE, "drained; the next run goes on from here"),
    app.RunOutcome.DEFERRED: (
        Exit.DEFERRED,
        "contacts are left that are due later, or in doubt; run it again then",
    ),
    app.RunOutcome.HALTED: (
        Exit.HALTED,
        "ended while halted; the log tells why, and what is missing",
    ),
    app.RunOutcome.PAUSED: (Exit.PAUSED, "what is left is paused; resume it, and run it again"),
    app.RunOutcome.CUT_OFF: (Exit.DRAIN_LIMIT, "the drain limit was exceeded; run it again"),
    app.RunOutcome.FAILED: (
        Exit.FAILURES,
        "stopped because too many of the last contacts failed; the log tells each one's reason",
    ),
    None: (Exit.STOPPED, "stopped at once; nothing is lost, the next run goes on from here"),
}


def run_command(given: Mapping[str, Any]) -> int:
    """Run until the end or a signal; return the exit code."""
    settings = load_settings(given)
    for warning in warnings(settings):
        say(f"warning: {warning}")
    console = Console()
    live = console.is_terminal if given["progress"] is None else given["progress"]
    view = progress.view(console, live=live)
    result = app.run(_quieter(settings, live=live), _options(given, settings), view)
    for campaign, totals in result.totals.items():
        summary.show_totals(console, campaign, totals)
    summary.show_campaigns(console, result.snapshots)
    summary.show_run(console, merge_snapshots(list(result.snapshots.values())))
    code, words = _ENDINGS[result.ending]
    say(f"{settings.title}: {words} (exit code {code.value})")
    return code


def _options(given: Mapping[str, Any], settings: Settings) -> app.RunOptions:
    return app.RunOptions(
        once=given["once"],
        limit=given["limit"],
        wait_limit=settings.engine.wait_limit_seconds,
    )


def _quieter(settings: Settings, *, live: bool) -> Settings:
    """Log warnings alone where the live view is, unless a level was asked for."""
    telemetry = settings.telemetry
    chosen = settings.origin("telemetry.log_level") is not None or telemetry.log_file
    if chosen or not live or not sys.stderr.isatty():
        return settings
    quiet = telemetry.model_copy(update={"log_level": "warning"})
    return settings.model_copy(update={"telemetry": quiet})
