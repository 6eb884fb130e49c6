"""Exit codes, and what a failure looks like to the person at the terminal."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import click


class Exit(IntEnum):
    """How a command can end."""

    DONE = 0
    BUG = 1
    USAGE = 2
    SOURCE = 3
    LEDGER = 4
    PLATFORM = 5
    DEFERRED = 10
    HALTED = 11
    DRAIN_LIMIT = 12
    PAUSED = 13
    FAILURES = 14
    UNCONFIRMED = 15
    STOPPED = 130


MEANINGS = {
    Exit.DONE: "done; or drained after a signal, and the next run goes on from there",
    Exit.BUG: "a bug: please report it with the output of --debug",
    Exit.USAGE: "usage or configuration is wrong; everything that is wrong is named",
    Exit.SOURCE: "the source cannot be read",
    Exit.LEDGER: "the ledger cannot be used or is not whole, or another dispatcher has it",
    Exit.PLATFORM: "the platform refuses the credentials, or check --online found a problem; or "
    "plan or lineage verify cannot read from it",
    Exit.DEFERRED: "with --once: contacts are left, in doubt or due later than the wait limit",
    Exit.HALTED: "ended while halted: a scope or permission, the credentials, or the platform",
    Exit.DRAIN_LIMIT: "the drain limit was exceeded: what was in flight is in the ledger",
    Exit.PAUSED: "with --once: all that is left belongs to campaigns that are paused",
    Exit.FAILURES: "too many of the last contacts failed (rules.stop_failed_share)",
    Exit.UNCONFIRMED: "lineage verify: there are links that the platform does not confirm",
    Exit.STOPPED: "stopped at once by a second signal: nothing is lost",
}
"""What each exit code means, for help and documentation."""

_KNOWN = {
    "dispatcher.settings.SettingsError": Exit.USAGE,
    "dispatcher.sandbox.scenario.scenario.ScenarioError": Exit.USAGE,
    "dispatcher.telemetry.health.HealthAddressError": Exit.USAGE,
    "dispatcher.app.lineage_formats.FormatError": Exit.USAGE,
    "dispatcher.app.lineage_export.OutputError": Exit.USAGE,
    "dispatcher.app.control.server.ControlAddressError": Exit.USAGE,
    "dispatcher.ledgers.errors.CommandError": Exit.USAGE,
    "dispatcher.app.control.client.ControlError": Exit.LEDGER,
    "dispatcher.ports.SourceError": Exit.SOURCE,
    "dispatcher.ports.LedgerError": Exit.LEDGER,
    "dispatcher.ports.CredentialsError": Exit.PLATFORM,
    "dispatcher.ports.TokenUnavailableError": Exit.PLATFORM,
    "dispatcher.engine.readonly.platform_reader.PlatformReadError": Exit.PLATFORM,
}


def epilog() -> str:
    """Return the table of exit codes for a help text."""
    lines = [f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\b\nExit codes:\n" + "\n".join(lines)


@contextmanager
def explain_errors(debug: Callable[[], bool]) -> Iterator[None]:
    """Turn a failure inside of the block into a message and an exit code.

    ``debug`` is asked when something failed: whether to show the traceback, too.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(Exit.STOPPED) from None
    except BrokenPipeError:
        raise click.exceptions.Exit(Exit.DONE) from None
    except Exception as error:
        raise click.exceptions.Exit(_explain(error, debug=debug())) from error


def say(text: str) -> None:
    """Print a line for people on standard error."""
    click.echo(text, err=True)


def _explain(error: Exception, *, debug: bool) -> Exit:
    code = _code(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if code is Exit.BUG:
        say(f"dispatcher: a bug: {type(error).__name__}: {error}")
        say("Nothing is lost: the ledger holds every contact. --debug shows where it happened.")
    else:
        say(f"dispatcher: {_words(error)}")
    return code


def _code(error: Exception) -> Exit:
    """Return the exit code, without importing what was never used."""
    for name, code in _KNOWN.items():
        module, _, kind = name.rpartition(".")
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], kind)):
            return code
    return Exit.BUG


def _words(error: Exception) -> str:
    mistakes = getattr(error, "mistakes", ())
    if not mistakes:
        return str(error)
    count = len(mistakes)
    head = f"{count} mistake{'s' if count > 1 else ''}:"
    return "\n  ".join([head, *map(str, mistakes)])
