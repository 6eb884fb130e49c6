"""What a run would do with a campaign from now on, as far as that is known without the platform."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Bounds(NamedTuple):
    """The least and the most that a figure can be, as far as it is known."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """The plan of one campaign, from its ledger and its source, without a request.

    ``made_at`` and ``last_due`` are in seconds since the epoch. ``rows`` are those of the source,
    ``waiting`` contacts of the ledger: what they are, a reason, and how many. ``rows`` is empty if
    the source was not read. ``outcomes`` are contacts whose end is known already, by status and
    reason; the end of the ``undecided`` ones depends on a state. ``requests`` are by what they are
    for. ``seconds`` is how long it takes with ``requests_per_minute``. ``later`` contacts are not
    due yet, the last of them at ``last_due``.
    ``halt`` says why the run would halt; empty if it would not. ``remarks`` are what the figures
    rest on, ``unknown`` what a look at the platform would show; code is between backticks.
    """

    campaign: str
    made_at: float
    rows: Sequence[tuple[str, str, int]]
    waiting: Sequence[tuple[str, str, int]]
    outcomes: Sequence[tuple[str, str, int]]
    undecided: int
    requests: Mapping[str, Bounds]
    seconds: Bounds
    requests_per_minute: int
    later: int = 0
    last_due: float = 0.0
    halt: str = ""
    remarks: Sequence[str] = ()
    unknown: Sequence[str] = ()

    @property
    def contacts(self) -> int:
        """The contacts that are planned."""
        return self.undecided + sum(number for _, _, number in self.outcomes)
