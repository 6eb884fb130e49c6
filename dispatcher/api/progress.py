"""Progress bars: in a notebook as HTML, at a terminal as text, elsewhere none."""

import html
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, BinaryIO, Protocol, Self, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dispatcher.api.logs import LogText
from dispatcher.telemetry.stats.run_stats import Snapshot

SHOW_SECONDS = 0.2
"""How often the bars of a notebook change at most: each change is a message to the browser."""

Count = tuple[int, int | None]
"""What is done, and the total; None: not known yet."""


class Bars(Protocol):
    """Bars, one for each name that they were opened with."""

    def show(self, *counts: Count) -> None:
        """Show how much is done."""
        ...


class NoBars:
    """Shows nothing."""

    def show(self, *counts: Count) -> None:
        """Show nothing."""


class TerminalBars:
    """The bars of rich."""

    def __init__(self, progress: Progress, names: tuple[str, ...]) -> None:
        self._progress = progress
        self._tasks = [progress.add_task(name, total=None) for name in names]

    def show(self, *counts: Count) -> None:
        """Show how much is done."""
        for task, (done, total) in zip(self._tasks, counts, strict=True):
            self._progress.update(task, completed=done, total=total)


class NotebookBars:
    """Bars as HTML, in an output of the cell that changes. They need no widgets."""

    def __init__(self, display: Any, make_html: Any, names: tuple[str, ...]) -> None:
        self._names = names
        self._make_html = make_html
        self._counts: tuple[Count, ...] = tuple((0, None) for _ in names)
        self._shown_at = time.monotonic()
        self._handle = display(make_html(self._text()), display_id=True)

    def show(self, *counts: Count) -> None:
        """Show how much is done, if the last change is long enough ago."""
        self._counts = counts
        if time.monotonic() - self._shown_at >= SHOW_SECONDS:
            self.show_last()

    def show_last(self) -> None:
        """Show how much was done in the end."""
        self._shown_at = time.monotonic()
        if self._handle is not None:
            self._handle.update(self._make_html(self._text()))

    def _text(self) -> str:
        return "".join(
            f"<div><label>{html.escape(name)} <progress"
            + (f' value="{done if total else 1}" max="{total or 1}"' if total is not None else "")
            + f"></progress> {done:,}"
            + (f" of {total:,}" if total is not None else "")
            + "</label></div>"
            for name, (done, total) in zip(self._names, self._counts, strict=True)
        )


@contextmanager
def open_bars(wanted: bool | None, *names: str) -> Iterator[Bars]:  # noqa: FBT001 - an option with three states
    """Yield bars; None shows them in a notebook and at a terminal."""
    notebook = _notebook_display() if wanted is not False else None
    if notebook is not None:
        bars = NotebookBars(*notebook, names)
        yield bars
        bars.show_last()
        return
    console = Console(stderr=True, force_terminal=wanted)
    if not console.is_terminal:
        yield NoBars()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield TerminalBars(progress, names)


def _notebook_display() -> tuple[Any, Any] | None:
    """Return what shows something in the notebook that runs this; None if none does."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    shown = import_module("IPython.display")
    return shown.display, shown.HTML


class RunView:
    """The view of a run: one bar for the contacts that are final."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._waits_for = ""

    @property
    def stream(self) -> BinaryIO | None:
        """The stream of logs, which go above the bar."""
        return cast("BinaryIO", LogText())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars to who opened them."""

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Show the statistics of the campaign."""
        (snapshot,) = snapshots.values()
        total = None if snapshot.gauges is None else _total(snapshot)
        self._bars.show((snapshot.settled_total, total))

    def show_end(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Show how much was done in the end, also of a run that was short."""
        (snapshot,) = snapshots.values()
        self._bars.show((snapshot.settled_total, _total(snapshot)))

    def show_standby(self, words: str) -> None:
        """Show what a standby waits for, once."""
        if words != self._waits_for:
            self._waits_for = words
            sys.stderr.write(f"{words}\n")


def _total(snapshot: Snapshot) -> int:
    gauges = snapshot.gauges
    return snapshot.settled_total + (gauges.backlog + gauges.in_flight if gauges else 0)
