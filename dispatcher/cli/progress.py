"""Shows the progress of a run: a live view at a terminal, plain lines elsewhere."""

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, Self, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dispatcher.app import ProgressView
from dispatcher.cli import formatting
from dispatcher.cli.consoles import RunConsole
from dispatcher.domain.status import Status
from dispatcher.telemetry.stats.client_stats import ClientSnapshot
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import Snapshot

LINE_SECONDS = 10.0
"""How often a plain line is printed."""

_BAR = 24
_BUSY = 0.95


def is_live(console: Console, option: bool | None) -> bool:  # noqa: FBT001 - an option with three states
    """Return whether to draw a live view: as --progress says, else if there is a terminal."""
    return console.is_terminal if option is None else option


class LineTimer:
    """Limits plain lines to one every `LINE_SECONDS`."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether it is time for a line; if so, the next one is due later."""
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return False
        self._last = now
        return True


@contextmanager
def show_counts(*names: str, live: bool | None) -> Iterator[Callable[..., None]]:
    """Yield a function that shows how much of some tasks is done: as bars, or as a line.

    The function takes a pair for each name: what is done, and the total (None: not known yet).
    ``live`` is the option --progress.
    """
    console, timer = RunConsole(stderr=True), LineTimer()

    def show_line(*counts: tuple[int, int | None]) -> None:
        if timer.is_due():
            parts = (
                f"{name} {done:,}" if total is None else f"{name} {done:,} of {total:,}"
                for name, (done, total) in zip(names, counts, strict=True)
            )
            console.out(", ".join(parts), highlight=False)

    if not is_live(console, live):
        yield show_line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = [bars.add_task(name, total=None) for name in names]

        def show_bars(*counts: tuple[int, int | None]) -> None:
            for task, (done, total) in zip(tasks, counts, strict=True):
                bars.update(task, completed=done, total=total)

        yield show_bars


def progress_view(console: Console, *, live: bool, json_log: bool = False) -> ProgressView:
    """Return a live view or plain lines; ``json_log``: a log in JSON goes to standard error."""
    return LiveView(console) if live else PlainView(console, says_standby=not json_log)


class PlainView:
    """One line every ten seconds, and one for each campaign where there are several.

    Without ``says_standby`` only the log has the standby, as its event ``run.standby``.
    """

    def __init__(self, console: Console, *, says_standby: bool = True) -> None:
        self._console, self._says_standby = console, says_standby
        self._timer = LineTimer()
        self._waits_for = ""

    @property
    def stream(self) -> BinaryIO | None:
        """None: logs do not disturb the lines."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the lines as they are."""

    def show_standby(self, words: str) -> None:
        """Print what a standby waits for, once for each leader."""
        if self._says_standby and words != self._waits_for:
            self._waits_for = words
            self._console.out(words, highlight=False)

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Print the lines if it is time for them."""
        if self._timer.is_due():
            for text in lines(snapshots):
                self._console.out(text, highlight=False)


class LiveView:
    """A few lines at the end of the terminal that are redrawn."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        shared = console.is_terminal and sys.stderr.isatty()
        self._stream = cast("BinaryIO", _LogLines(console)) if shared else None

    @property
    def stream(self) -> BinaryIO | None:
        """Logs that would go to the same terminal are printed above the view."""
        return self._stream

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Erase the view: the summary follows."""
        self._live.stop()

    def show_standby(self, words: str) -> None:
        """Redraw the view of a standby."""
        self._live.update(Text(words), refresh=True)

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Redraw the view."""
        self._live.update(panel(snapshots), refresh=True)


class _LogLines(io.RawIOBase):
    """A stream whose lines are printed above the live view."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True: the console is a terminal."""
        return True

    def write(self, data: object) -> int:
        """Print whole lines."""
        raw = bytes(cast("bytes", data))
        self._console.print(Text.from_ansi(raw.decode("utf-8", "replace").rstrip("\n")))
        return len(raw)


def lines(snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    """Yield a line for the run, and one for each campaign if there are several."""
    yield line(merge_snapshots(list(snapshots.values())))
    if len(snapshots) > 1:
        for campaign, snapshot in snapshots.items():
            yield f"  {campaign}: {'; '.join([*_counts_of(snapshot), *formatting.halts(snapshot)])}"


def line(snapshot: Snapshot) -> str:
    """Return the progress as one line."""
    gauges = snapshot.gauges
    settled, *waiting = _counts_of(snapshot)
    parts = [
        f"{formatting.duration(snapshot.seconds)}: {settled}",
        *waiting,
        f"remaining {formatting.remaining(snapshot)}",
        f"quota {gauges.quota_used:.0%}" if gauges else "quota -",
        *(f"{name} {number}" for name, number in formatting.failures(snapshot).items()),
        *formatting.halts(snapshot),
        *(
            f"client {name} {state}"
            for name, state in formatting.clients(snapshot).items()
            if state
        ),
    ]
    return "; ".join(parts)


def _counts_of(snapshot: Snapshot) -> list[str]:
    settled = f"{snapshot.settled_total:,}"
    by_status = ", ".join(
        f"{formatting.status_name(status)} {number:,}"
        for status, number in formatting.outcomes(snapshot.settled).items()
    )
    return [
        f"settled {settled}: {by_status}",
        f"waiting {formatting.waiting(snapshot):,}",
        f"{snapshot.rates.settled_10:.1f}/s",
    ]


def panel(snapshots: Mapping[str, Snapshot]) -> Group:
    """Return the progress as the lines of the live view."""
    snapshot = merge_snapshots(list(snapshots.values()))
    several = snapshots if len(snapshots) > 1 else {}
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    title = f"{len(several)} campaigns" if several else next(iter(snapshots))
    table.add_row("campaign", Text(f"{title}  {formatting.duration(snapshot.seconds)}"))
    for campaign, own_snapshot in several.items():
        table.add_row(campaign, _contacts(own_snapshot).append_text(_halted(own_snapshot)))
    table.add_row("contacts", _contacts(snapshot))
    table.add_row("settled", _counts(formatting.outcomes(snapshot.settled)))
    table.add_row("requests", _requests(snapshot))
    for name, client in snapshot.clients.items():
        table.add_row(f"client {name}", _client(client))
    table.add_row("failures", _counts(formatting.failures(snapshot), alarm=True))
    halts = [
        Text(f"{words}, for {formatting.since(since, time.time())}", style="bold red")
        for words, since in zip(formatting.halts(snapshot), snapshot.halts.values(), strict=True)
    ]
    return Group(table, *halts)


def _client(client: ClientSnapshot) -> Text:
    text = Text(f"{client.requests:,}, {client.quota_used:.0%} of its quota")
    text.append(f", pace {client.pace:.1f}/s")
    for reason, since in client.halts.items():
        words = f", HALTED: {reason}, for {formatting.since(since, time.time())}"
        text.append(words, style="bold red")
    return text


def _halted(snapshot: Snapshot) -> Text:
    return Text("".join(f", {words}" for words in formatting.halts(snapshot)), style="bold red")


def _contacts(snapshot: Snapshot) -> Text:
    return Text(
        f"{snapshot.settled_total:,} settled, "
        f"{formatting.waiting(snapshot):,} waiting, "
        f"{snapshot.rates.settled_10:.1f}/s, remaining {formatting.remaining(snapshot)}"
    )


def _counts(counts: Mapping[Status, int] | Mapping[str, int], *, alarm: bool = False) -> Text:
    text = Text()
    for name, number in counts.items():
        style = "bold yellow" if alarm and number else "bold" if number else "dim"
        shown = formatting.status_name(name) if isinstance(name, Status) else name
        text.append(f"{shown} ").append(f"{number:,}   ", style=style)
    return text


def _requests(snapshot: Snapshot) -> Text:
    text = Text(f"{snapshot.requests_total:,}, {snapshot.rates.requests_10:.1f}/s  ")
    gauges = snapshot.gauges
    if gauges is not None:
        used = min(1.0, max(0.0, gauges.quota_used))
        full = round(used * _BAR)
        text.append("█" * full, style="green" if used >= _BUSY else "cyan")
        text.append("░" * (_BAR - full), style="dim")
        text.append(f" {used:.0%} of the quota, pace {gauges.pace:.1f}/s")
    if snapshot.throttled:
        text.append(f", 429: {snapshot.throttled}", style="bold yellow")
    return text
