"""What a run shows to a person while it runs."""

from collections.abc import Mapping
from typing import BinaryIO, Protocol, Self

from dispatcher.telemetry.stats.run_stats import Snapshot


class ProgressView(Protocol):
    """Shows the progress of a run to a person."""

    @property
    def stream(self) -> BinaryIO | None:
        """The stream for logs that would disturb the view; None if there is no such problem."""
        ...

    def __enter__(self) -> Self:
        """Start the view."""
        ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Show the statistics of each campaign."""
        ...

    def show_standby(self, words: str) -> None:
        """Show what a standby waits for."""
        ...
