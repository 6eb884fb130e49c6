"""Exit codes, and how a failure is reported at the terminal."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from dispatcher.cli.closed_pipes import drop_output
from dispatcher.domain.errors import DispatcherError, ExitCode

MEANINGS = {
    ExitCode.DONE: "done; or drained after a signal, and the next run continues from there",
    ExitCode.BUG: "a bug: please report it with the output of --debug",
    ExitCode.USAGE: "a mistake in the command or the configuration; the message names all mistakes",
    ExitCode.SOURCE: "the source cannot be read; or lineage export --to: the sink takes no rows",
    ExitCode.LEDGER: "the ledger cannot be used or is damaged, or another dispatcher uses it",
    ExitCode.PLATFORM: "the platform refuses the credentials, or check --online found a problem; "
    "or plan or lineage verify cannot read from it; or Datadog refuses datadog apply",
    ExitCode.DEFERRED: "with --once: contacts are left, in doubt or due later than the wait limit",
    ExitCode.HALTED: (
        "ended while halted: a scope or permission, the credentials, or the platform; or most "
        "contacts were refused for the same reason"
    ),
    ExitCode.DRAIN_LIMIT: (
        "the drain took longer than its limit: contacts in flight are in the ledger"
    ),
    ExitCode.PAUSED: "with --once: all contacts that are left belong to paused campaigns",
    ExitCode.FAILURES: "too many of the last contacts failed (rules.stop_failed_share)",
    ExitCode.UNCONFIRMED: "lineage verify: the platform does not confirm some links",
    ExitCode.NO_ROWS: "with --once: no row became a contact, so nothing was sent; "
    "check --source: no row would become one",
    ExitCode.LEASE_LOST: "another dispatcher has taken over; started again, this is the standby",
    ExitCode.STOPPED: "stopped immediately by a second signal: nothing is lost",
}
"""What each exit code means, for help and documentation."""

RESTART_HELPS = frozenset({ExitCode.BUG, ExitCode.DRAIN_LIMIT, ExitCode.LEASE_LOST})
"""Exit codes after which a supervisor should start a run again by itself."""

EPILOG = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()
)
"""The table of exit codes, for the end of a help text."""


@contextmanager
def explain_errors(is_debug: Callable[[], bool]) -> Iterator[None]:
    """Turn an exception that leaves the block into a message and an exit code.

    ``is_debug`` is called only after an exception; if it returns True, the traceback is printed
    too.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.STOPPED) from None
    except BrokenPipeError:  # nobody reads the rest
        drop_output(sys.stdout)
        raise click.exceptions.Exit(ExitCode.DONE) from None
    except Exception as error:
        if is_debug():
            traceback.print_exception(error, file=sys.stderr)
        raise click.exceptions.Exit(_report(error)) from error


def say(text: str) -> None:
    """Print a line for people on standard error, if that is still read."""
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        drop_output(sys.stderr)


def code_after(error: BaseException) -> int:
    """Return the exit code of a command that an exception ends."""
    match error:
        case DispatcherError() | click.exceptions.Exit() | click.ClickException():
            return int(error.exit_code)
        case KeyboardInterrupt():
            return ExitCode.STOPPED
        case BrokenPipeError():
            return ExitCode.DONE
        case _:
            return ExitCode.BUG


def _report(error: Exception) -> ExitCode:
    if isinstance(error, DispatcherError):
        say(f"dispatcher: {error}")
        return error.exit_code
    say(f"dispatcher: a bug: {type(error).__name__}: {error}")
    say("Nothing is lost: the ledger holds every contact. --debug shows where it happened.")
    return ExitCode.BUG
