"""How a run is to go, and how it ended."""

from dataclasses import dataclass
from enum import StrEnum


class RunOutcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    """Source and ledger are exhausted, or the run's limit of contacts is reached."""
    DEFERRED = "deferred"
    """Exhausted but for contacts that are due later than the run waits."""
    HALTED = "halted"
    """The run stood still for longer than it waits."""
    PAUSED = "paused"
    """Exhausted but for campaigns that are paused."""
    DRAINED = "drained"
    """Asked to stop; what was in flight was settled."""
    FAILED = "failed"
    """Stopped because too large a share of the last contacts failed."""
    CUT_OFF = "cut_off"
    """Asked to stop; the drain limit was over before all in flight was settled."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How a run goes; times in seconds.

    With ``once`` it ends when source and ledger are exhausted; what is due later than
    ``wait_limit`` after that stays in the ledger. ``by_priority``: a campaign gets workers only
    when none of a higher priority has anything ready, else they share them.
    """

    workers: int = 64
    once: bool = False
    wait_limit: float = 60.0
    drain_seconds: float = 30.0
    gauge_seconds: float = 10.0
    by_priority: bool = False
