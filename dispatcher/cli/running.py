"""``dispatcher run``: settings, then the run, then its summary."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from dispatcher import app
from dispatcher.cli import progress, summary
from dispatcher.cli.exits import MEANINGS, Exit, say
from dispatcher.settings import Purpose, Settings, load, warnings

DEFAULT_CONFIG = Path("dispatcher.toml")

_FLAGS = {
    "source": "source.path",
    "ledger": "ledger.path",
    "campaign": "campaign",
    "platform_url": "platform.base_url",
    "wait_limit": "engine.wait_limit_seconds",
    "log_format": "telemetry.log_format",
}


_CODES = {
    app.Ending.DONE: Exit.DONE,
    app.Ending.DRAINED: Exit.DONE,
    app.Ending.DEFERRED: Exit.DEFERRED,
    app.Ending.HALTED: Exit.HALTED,
    app.Ending.CUT_OFF: Exit.DRAIN_LIMIT,
}


def run_command(given: Mapping[str, Any]) -> int:
    """Run until the end or a signal; return the exit code."""
    settings = from_options(given)
    for warning in warnings(settings):
        say(f"warning: {warning}")
    console = Console()
    live = console.is_terminal if given["progress"] is None else given["progress"]
    view = progress.view(console, settings.campaign, live=live)
    result = app.run(_quieter(settings, live=live), _options(given, settings), view)
    summary.show_totals(console, settings.campaign, result.totals)
    summary.show_run(console, result.snapshot)
    code = _CODES[result.ending] if result.ending else Exit.STOPPED
    say(f"{settings.campaign}: {MEANINGS[code]}")
    return code


def from_options(given: Mapping[str, Any], *, purpose: Purpose = "run") -> Settings:
    """Load the settings that a command's options name."""
    flags = {key: given.get(option) for option, key in _FLAGS.items()}
    config = given.get("config") or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
    return load(config, env=os.environ, sets=given.get("sets", ()), flags=flags, purpose=purpose)


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
