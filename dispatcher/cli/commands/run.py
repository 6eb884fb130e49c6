"""``dispatcher run``: settings, then the run, then its summary."""

import sys

import click

from dispatcher import app
from dispatcher.cli import summary
from dispatcher.cli.config import SettingsOptions, settings_options
from dispatcher.cli.consoles import RunConsole
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.missing_rows import missing_rows
from dispatcher.cli.options import debug_option, progress_option
from dispatcher.cli.progress import is_live, progress_view
from dispatcher.cli.reported_exit import ReportedCommand, remember_settings, remember_words
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.suspicion import is_key
from dispatcher.settings import Settings, warnings
from dispatcher.telemetry.stats.merge import merge_snapshots

_OUTCOMES = {
    app.RunOutcome.DONE: (ExitCode.DONE, "done"),
    app.RunOutcome.DRAINED: (ExitCode.DONE, "drained; the next run continues from here"),
    app.RunOutcome.DEFERRED: (
        ExitCode.DEFERRED,
        "contacts are left that are due later, or in doubt; run it again later",
    ),
    app.RunOutcome.HALTED: (
        ExitCode.HALTED,
        "ended while halted; the log says why, and what is missing or suspicious",
    ),
    app.RunOutcome.PAUSED: (
        ExitCode.PAUSED,
        "all contacts that are left are paused; resume the campaign, and run it again",
    ),
    app.RunOutcome.CUT_OFF: (
        ExitCode.DRAIN_LIMIT,
        "the drain took longer than its limit; run it again",
    ),
    app.RunOutcome.FAILED: (
        ExitCode.FAILURES,
        "stopped because too many of the last contacts failed; the log has the reason of each",
    ),
    None: (
        ExitCode.STOPPED,
        "stopped immediately; nothing is lost, the next run continues from here",
    ),
}


@click.command(cls=ReportedCommand, epilog=EPILOG)
@settings_options
@click.option("--limit", type=click.IntRange(min=1), help="End after this many contacts.")
@click.option(
    "--once", is_flag=True, help="End when all rows are read and no contact is left to do."
)
@click.option(
    "--wait-limit",
    type=float,
    metavar="SECONDS",
    help="With --once: do not wait for contacts that are due later than this.",
)
@click.option("--log-format", help="auto, json or console.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Accept a ledger that is a copy; messages sent after it was made are sent again.",
)
@click.option(
    "--accept-suspicious",
    "accepted",
    multiple=True,
    metavar="CAUSE",
    callback=lambda _context, _option, causes: _check_causes(causes),
    help="Do not halt for this cause, such as check/404/e3b0c442: a halted run and plan name it.",
)
@progress_option
@debug_option
def run(  # noqa: PLR0913 - one parameter for each option
    options: SettingsOptions,
    *,
    limit: int | None,
    once: bool,
    wait_limit: float | None,
    log_format: str | None,
    adopt: bool,
    accepted: tuple[str, ...],
    progress: bool | None,
) -> int:
    """Send to every contact of the source, and to those that are left in the ledger.

    Without --once it runs until it is stopped, and sends to contacts as they become due.

    After the first SIGTERM or SIGINT the run drains: no contact is begun, those in flight are
    finished, and the exit code is 0. After a second one it stops immediately. In both cases the
    next run continues from there.

    \b
    Examples:
      dispatcher run --config dispatcher.toml --once
      dispatcher run --source 'exports/*.csv.gz' --campaign cart-2026-11 \\
          --platform-url https://api.example.com --once
      zcat contacts.csv.gz | dispatcher run --source - --once
      dispatcher run --set platform.requests_per_minute=600 --set engine.workers=16
    """
    settings = options.load_settings(
        {"engine.wait_limit_seconds": wait_limit, "telemetry.log_format": log_format}
    )
    remember_settings(settings)
    if accepted and len(settings.campaigns) > 1:
        raise click.UsageError(
            f"--accept-suspicious is for one campaign: --campaign, one of {settings.title}"
        )
    for warning in warnings(settings):
        say(f"warning: {warning}")
    console = RunConsole()
    live = is_live(console, progress)
    view = progress_view(console, live=live, json_log=_has_json_log(settings))
    result = app.run(
        _quieter(settings, live=live),
        view,
        once=once,
        limit=limit,
        adopt=adopt,
        accepted=accepted,
    )
    if result.waited_for:
        return _end_wait(settings, result)
    for campaign, totals in result.totals.items():
        summary.show_totals(console, campaign, totals)
    summary.show_campaigns(console, result.snapshots)
    summary.show_run(console, merge_snapshots(list(result.snapshots.values())))
    code, words = _ending(result, limited=limit is not None)
    remember_words(words)
    say(f"{settings.title}: {words} (exit code {code.value})")
    return code


def _end_wait(settings: Settings, result: app.RunResult) -> ExitCode:
    """Report the end of a run that had no turn: there is nothing to sum up."""
    code = ExitCode.STOPPED if result.ending is None else ExitCode.DONE
    words = f"ended while it waited {result.waited_for}; it has sent nothing"
    remember_words(words)
    say(f"{settings.title}: {words} (exit code {code.value})")
    return code


def _check_causes(causes: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [cause for cause in causes if not is_key(cause)]:
        raise click.BadParameter(
            f"{wrong[0]!r} is not the name of a cause, such as check/404/e3b0c442; a run that "
            "halts names it in its log, and so does dispatcher plan"
        )
    return causes


def _ending(result: app.RunResult, *, limited: bool) -> tuple[ExitCode, str]:
    """Return the exit code of a run, and its end in words."""
    if result.ending is app.RunOutcome.DONE:
        missing = missing_rows(result, limited=limited)
        if missing is not None:
            return ExitCode.NO_ROWS, missing
    return _OUTCOMES[result.ending]


def _has_json_log(settings: Settings) -> bool:
    """Return True if standard error has log lines in JSON."""
    telemetry = settings.telemetry
    if telemetry.log_file or telemetry.log_format == "console":
        return False
    return telemetry.log_format == "json" or not sys.stderr.isatty()


def _quieter(settings: Settings, *, live: bool) -> Settings:
    """Log warnings only if there is a live view, unless a level or a log file was set."""
    telemetry = settings.telemetry
    chosen = settings.origin("telemetry.log_level") is not None or telemetry.log_file
    if chosen or not live or not sys.stderr.isatty():
        return settings
    quiet = telemetry.model_copy(update={"log_level": "warning"})
    return settings.model_copy(update={"telemetry": quiet})
