"""How a run shows that it goes on: a live view at a terminal, plain lines elsewhere."""

import io
import sys
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Protocol, Self, cast

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dispatcher.cli import formatting
from dispatcher.domain.status import Status
from dispatcher.telemetry.stats.client_stats import ClientSnapshot
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import Snapshot

LINE_SECONDS = 10.0
"""How often a plain line is printed."""

_BAR = 24
_BUSY = 0.95


class View(Protocol):
    """What shows the progress of a run."""

    @property
    def stream(self) -> BinaryIO | None:
        """Where logs go that would otherwise run into the view; None: where they always go."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        *_: object,
    ) -> None: ...

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Show how each campaign stands."""
        ...


def view(console: Console, *, live: bool) -> View:
    """Return the view that fits."""
    return LiveView(console) if live else PlainView(console)


class PlainView:
    """One line every ten seconds, and one for each campaign where there are several."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = time.monotonic()

    @property
    def stream(self) -> BinaryIO | None:
        """Logs go where they always go."""
        return None

    def __enter__(self) -> Self:
        self._last = time.monotonic()
        return self

    def __exit__(
        self,
        *_: object,
    ) -> None:
        """Leave the lines as they are."""

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Print the lines if it is time for them."""
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS:
            self._last = now
            for text in lines(snapshots):
                self._console.out(text, highlight=False)


class LiveView:
    """Some lines at the end of the terminal, kept up to date."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        aside = console.is_terminal and sys.stderr.isatty()
        self._stream = cast("BinaryIO", _Above(console)) if aside else None

    @property
    def stream(self) -> BinaryIO | None:
        """Logs that would go to the same terminal are printed above the view."""
        return self._stream

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        *_: object,
    ) -> None:
        """Take the view away: the summary follows."""
        self._live.stop()

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Draw the view anew."""
        self._live.update(panel(snapshots), refresh=True)


class _Above(io.RawIOBase):
    """A stream whose lines appear above the live view."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def isatty(self) -> bool:
        """Tell that it ends at a terminal."""
        return True

    def write(self, data: object) -> int:
        """Print whole lines."""
        raw = bytes(cast("bytes", data))
        self._console.print(Text.from_ansi(raw.decode("utf-8", "replace").rstrip("\n")))
        return len(raw)


def lines(snapshots: Mapping[str, Snapshot]) -> Iterator[str]:
    """Write the progress of the run as one line, and of several campaigns as one each."""
    yield line(merge_snapshots(list(snapshots.values())))
    if len(snapshots) > 1:
        for campaign, snapshot in snapshots.items():
            yield f"  {campaign}: {'; '.join([*_own(snapshot), *formatting.halts(snapshot)])}"


def line(snapshot: Snapshot) -> str:
    """Write the progress as one line."""
    gauges = snapshot.gauges
    settled, *waiting = _own(snapshot)
    parts = [
        f"{formatting.duration(snapshot.seconds)}: {settled}",
        *waiting,
        f"left {formatting.remaining(snapshot)}",
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


def _own(snapshot: Snapshot) -> list[str]:
    settled = formatting.count(snapshot.settled_total)
    by_status = ", ".join(
        f"{status} {formatting.count(number)}"
        for status, number in formatting.outcomes(snapshot.settled).items()
    )
    return [
        f"settled {settled}: {by_status}",
        f"waiting {formatting.count(formatting.waiting(snapshot))}",
        f"{snapshot.rates.settled_10:.1f}/s",
    ]


def panel(snapshots: Mapping[str, Snapshot]) -> Group:
    """Draw the progress as some lines."""
    snapshot = merge_snapshots(list(snapshots.values()))
    several = snapshots if len(snapshots) > 1 else {}
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    title = f"{len(several)} campaigns" if several else next(iter(snapshots))
    table.add_row("campaign", Text(f"{title}  {formatting.duration(snapshot.seconds)}"))
    for campaign, own in several.items():
        table.add_row(campaign, _contacts(own).append_text(_halted(own)))
    table.add_row("contacts", _contacts(snapshot))
    table.add_row("settled", _counts(formatting.outcomes(snapshot.settled)))
    table.add_row("requests", _requests(snapshot))
    for name, one in snapshot.clients.items():
        table.add_row(f"client {name}", _client(one))
    table.add_row("failures", _counts(formatting.failures(snapshot), alarm=True))
    halts = [
        Text(f"{words}, for {formatting.duration(time.time() - since)}", style="bold red")
        for words, since in zip(formatting.halts(snapshot), snapshot.halts.values(), strict=True)
    ]
    return Group(table, *halts)


def _client(one: ClientSnapshot) -> Text:
    text = Text(f"{formatting.count(one.requests)}, {one.quota_used:.0%} of its quota")
    text.append(f", pace {one.pace:.1f}/s")
    for reason, since in one.halts.items():
        words = f", HALTED: {reason}, for {formatting.duration(time.time() - since)}"
        text.append(words, style="bold red")
    return text


def _halted(snapshot: Snapshot) -> Text:
    return Text("".join(f", {words}" for words in formatting.halts(snapshot)), style="bold red")


def _contacts(snapshot: Snapshot) -> Text:
    return Text(
        f"{formatting.count(snapshot.settled_total)} settled, "
        f"{formatting.count(formatting.waiting(snapshot))} waiting, "
        f"{snapshot.rates.settled_10:.1f}/s, left {formatting.remaining(snapshot)}"
    )


def _counts(counts: Mapping[Status, int] | Mapping[str, int], *, alarm: bool = False) -> Text:
    text = Text()
    for name, number in counts.items():
        style = "bold yellow" if alarm and number else "bold" if number else "dim"
        text.append(f"{name} ").append(f"{formatting.count(number)}   ", style=style)
    return text


def _requests(snapshot: Snapshot) -> Text:
    text = Text(
        f"{formatting.count(snapshot.requests_total)}, {snapshot.rates.requests_10:.1f}/s  "
    )
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
