"""The options of a run, and how it can end."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class RunOutcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    """Source and ledger are exhausted, or the run's limit of contacts is reached."""
    DEFERRED = "deferred"
    """The rest is due later than the run waits; or a quota is used up for longer than it waits."""
    HALTED = "halted"
    """All clients are halted for longer than the run waits; or a campaign is, since most of its
    contacts are refused alike, and nothing else is left to do."""
    PAUSED = "paused"
    """Exhausted, except for campaigns that are paused."""
    DRAINED = "drained"
    """Ordered to stop; each contact in flight was finished, or put back into the ledger."""
    FAILED = "failed"
    """Stopped because too large a share of the last contacts failed."""
    CUT_OFF = "cut_off"
    """The drain at the end of the run, whatever ended it, took longer than `drain_seconds`."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """The options of a run; times in seconds.

    With ``once`` a run ends when source and ledger are exhausted. It still waits for contacts that
    are due within ``wait_limit`` after that. If contacts are in doubt, it waits until
    ``doubt_limit`` after the last of them came to be so, if that is longer. The others stay in the
    ledger. It also ends when all clients are halted, or held, for longer than ``wait_limit``. A
    drain that takes longer than ``drain_seconds`` is cut off. Gauges are emitted each
    ``gauge_seconds``. With ``by_priority`` a campaign gets workers only when no campaign of a
    higher priority has claims ready; otherwise campaigns share the workers. ``loop_lag`` returns
    the longest delay of the event loop since its last call.
    """

    workers: int = 64
    once: bool = False
    wait_limit: float = 60.0
    doubt_limit: float = 0.0
    drain_seconds: float = 30.0
    gauge_seconds: float = 10.0
    by_priority: bool = False
    loop_lag: Callable[[], float] = lambda: 0.0
