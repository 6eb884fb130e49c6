"""``dispatcher top``: a running dispatcher, live at a terminal, with keys."""

import sys
import time
from contextlib import suppress
from functools import partial

import click

from dispatcher.app.control.watcher import RunWatcher, Sight
from dispatcher.app.status import read_status
from dispatcher.cli.commands import status
from dispatcher.cli.config import LedgerOptions, ledger_options
from dispatcher.cli.consoles import OutputConsole
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option
from dispatcher.cli.top.sections import sections
from dispatcher.cli.top.session import TopSession
from dispatcher.cli.top.view import View
from dispatcher.domain.errors import ExitCode
from dispatcher.http_server.unix_socket import OFF

LIVE_SECONDS = 1.0
PLAIN_SECONDS = 10.0
PIPE_WIDTH = 200
"""Columns where no terminal has a width."""


@click.command(epilog=EPILOG)
@ledger_options
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    metavar="SECONDS",
    help="How often to look: by default every second, or with --plain every 10 seconds.",
)
@click.option("--once", is_flag=True, help="Print it once, and end.")
@click.option(
    "--plain",
    is_flag=True,
    help="Print a block of lines each time, instead of a screen with keys: for logs, for screen "
    "readers, and for terminals that cannot draw (then it is the default).",
)
@debug_option
def top(options: LedgerOptions, *, interval: float | None, once: bool, plain: bool) -> int:
    """Watch a running dispatcher live, and pause, resume or drain it with a key.

    It shows the condition with its evidence and what to do, the campaigns with their rates, the
    outcomes, the three failures, the quota (ours, others', left), what waits and until when,
    OAuth clients, halts, sources, sinks, the ledger and who leads. It asks the control socket of
    the run on this machine, as the same user. It needs no colour (NO_COLOR) and 80 columns.

    \b
    Keys:
      p pause    r resume    d drain: each asks first, and only y does it
      / look at one contact: its whole history
      up, down   select one of several campaigns
      ? help     q quit: the run goes on

    When the run ends or restarts it says so, shows what the ledger has, and goes on with the next
    run. At a terminal it also waits for the first run, before there is a ledger, and while the
    server of the ledger is away. Where the output is no terminal it prints once: without a run,
    what `dispatcher status` prints.

    \b
    Examples:
      dispatcher top --config dispatcher.toml
      dispatcher top --ledger ledger.db --campaign cart-2026-11
      ssh -t host dispatcher top --config /etc/dispatcher/dispatcher.toml
      dispatcher top --once
      dispatcher top --plain --interval 60 >> top.log
    """
    ledger, campaign = options.ledger_and_campaign()
    watcher = RunWatcher(ledger, campaign, _configured_socket(options))
    console = OutputConsole(highlight=False, markup=False)
    if console.options.ascii_only:  # a name may have a character that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text stream
    interactive = console.is_terminal and not console.is_dumb_terminal and sys.stdin.isatty()
    if interactive and not (plain or once):
        terminal = sys.stdin.fileno()
        show = TopSession(console, terminal, watcher, ledger, interval or LIVE_SECONDS).run
    else:
        first = watcher.look(first=True)
        if first.ended and (once or not console.is_terminal):
            return _without_run(options)
        repeats = not once and (plain or console.is_terminal)
        seconds = (interval or PLAIN_SECONDS) if repeats else None
        show = partial(_print_blocks, console, watcher, first, seconds)
    with suppress(KeyboardInterrupt):  # Ctrl-C leaves it, as q does
        show()
    return ExitCode.DONE


def _configured_socket(options: LedgerOptions) -> str:
    if options.ledger and options.config is None:
        return ""
    path = options.load_settings().control.socket
    return "" if path == OFF else path


def _without_run(options: LedgerOptions) -> int:
    """Show what the ledger has, as `dispatcher status` does."""
    ledger, campaign = options.ledger_and_campaign()
    quota, policy = status.assumptions(options)
    report = read_status(ledger, campaign, quota, policy)
    status.show(report, time.time())
    return ExitCode.DONE


def _print_blocks(
    console: OutputConsole, watcher: RunWatcher, sight: Sight, interval: float | None
) -> None:
    """Print what is known, once or each time after so many seconds."""
    width = console.width if console.is_terminal else PIPE_WIDTH
    while True:
        view = View(time.time(), width, ascii_only=console.options.ascii_only)
        for section in sections(sight, view):
            for line in section.lines:
                line.rstrip()
                console.print(line, soft_wrap=True)
        if interval is None:
            return
        console.print()
        console.file.flush()
        time.sleep(interval)
        sight = watcher.look()
