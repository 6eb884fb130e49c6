"""Learns which first call costs a contact the fewest requests, from what rows alike have met.

The first call is a state check, or a send without one. The platform refuses such a send unless the
session has the state that the send needs, and the state is read after the refusal. Let ``c`` be
the requests that a first state check takes (1, or less where states are read together), and ``p``
the probability that the send is accepted:

- the state check first takes ``c`` requests, and 1 for the send;
- the send first takes 1 request; if it is refused, also 1 for a state check alone and 1 for the
  send that the state needs.

The send first takes fewer if (1 - p) * 2 < c, that is if p > 1 - c / 2: for single checks, if it is
accepted more often than not.

``p`` is estimated for each cell of rows alike. Every state that is read first and the answer to
every send without a state check are observations, so nothing is sent for the sake of learning.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field

from dispatcher.domain.status import Step

MEMORY = 32
"""About how many of the last observations of a cell count."""
COST_MEMORY = 8
"""About how many of the last state checks of a cell the requests of one are measured by."""
PRIOR_WEIGHT = 2.0
"""How many observations of a cell the estimate of the whole campaign is worth."""
LEAST_OBSERVATIONS = 4
"""Without so many of the campaign, contacts are checked first."""
MOST_FIRST_CHECKS = 8
"""How many contacts are checked at a time until there are `LEAST_OBSERVATIONS`."""
MOST_TRIES = 64
"""How many sends without a state check may have no answer yet."""
LEAST_TRIES = 2
"""How many of a cell without observations may have no answer yet."""
TRIES_PER_OBSERVATION = 2
"""How many more for each observation of the cell."""
MOST_CELLS = 256
"""How many cells are kept apart; all further ones are one cell."""
SURPRISE_MEMORY = 16
"""About how many of the last sends without a state check show that the world has changed."""
MOST_SURPRISE = 0.4
"""The excess of refusals over those expected at which all that was learnt is forgotten."""

SENDS = (Step.OPEN, Step.NOTIFY)
"""The sends that can be the first call."""

Cell = Hashable
"""What rows alike have in common."""

_KEPT = 1.0 - 1.0 / MEMORY
_OTHER_CELLS: Cell = "other cells"


@dataclass(slots=True)
class Share:
    """The share of accepted sends among observations, of which older ones count less and less."""

    accepted: float = 0.0
    weight: float = 0.0

    def add(self, *, accepted: bool) -> None:
        """Count one observation."""
        self.weight = self.weight * _KEPT + 1.0
        self.accepted = self.accepted * _KEPT + accepted

    def shrunk_towards(self, prior: float, weight: float) -> float:
        """Return the share as if ``weight`` more observations had the share ``prior``."""
        return (self.accepted + prior * weight) / (self.weight + weight)


@dataclass(slots=True)
class _CellEstimates:
    """The estimates of one cell, and its sends without a state check that have no answer yet."""

    check_cost: float
    shares: dict[Step, Share] = field(default_factory=lambda: {step: Share() for step in SENDS})
    trying: int = 0


@dataclass(slots=True, eq=False)
class FirstCall:
    """The first call of one contact, from its choice to its end.

    ``expected`` is the probability with which it was expected to be accepted, ``check_cost`` the
    number of requests that a state check first was expected to take.
    """

    learner: "FirstCallLearner"
    cell: Cell
    step: Step
    check_cost: float
    expected: float = 0.0
    epoch: int = 0
    is_pending: bool = True
    """Whether its answer has not come yet."""

    @property
    def is_unchecked(self) -> bool:
        """Whether it is a send without a state check whose answer has not come yet."""
        return self.is_pending and self.step is not Step.CHECK

    @property
    def still_pays(self) -> bool:
        """Whether a send that has no answer yet would be chosen again."""
        return not self.is_unchecked or self.learner.pays(self)


class FirstCallLearner:
    """Chooses first calls, and learns from their answers.

    A cell's share is shrunk towards that of the whole campaign, and the campaign's towards one
    refusal. At most `MOST_TRIES` sends without a state check wait for their answers at a time, and
    fewer of a cell with few observations. When far more of them are refused than was expected, all
    cells are forgotten at once: what changed the sessions of one cell has probably changed others.

    ``check_cost`` is the number of requests that a first state check takes; it is measured for each
    cell, because states that cannot be read together with others take more.
    """

    def __init__(self, check_cost: float = 1.0) -> None:
        self._cells: dict[Cell, _CellEstimates] = {}
        self._whole = _CellEstimates(check_cost)
        self._checking = 0
        self._trying = 0
        self._surprise = 0.0
        self._epoch = 0

    def choose(
        self, cell: Cell, possible: Sequence[Step], permitted: Sequence[Step]
    ) -> FirstCall | None:
        """Return the first call of a contact; None: wait until another one's answer is known.

        ``permitted`` are the sends that may be made without a state check now, ``possible`` also
        those that may be once some states were read.
        """
        if possible and not self._has_learnt(possible):
            enough = self._checking * self._whole.check_cost >= MOST_FIRST_CHECKS
            return None if enough else self.check(cell)
        if not permitted:
            return self.check(cell)
        estimates = self._estimates(cell)
        expected, step = max((self._expected(estimates, step), step) for step in permitted)
        if expected <= _least_share(estimates):
            return self.check(cell)
        room = LEAST_TRIES + TRIES_PER_OBSERVATION * int(estimates.shares[step].weight)
        if self._trying >= MOST_TRIES or estimates.trying >= room:
            return None
        self._trying += 1
        estimates.trying += 1
        return FirstCall(self, cell, step, estimates.check_cost, expected, self._epoch)

    def check(self, cell: Cell) -> FirstCall:
        """Return a state check as the first call."""
        self._checking += 1
        return FirstCall(self, cell, Step.CHECK, self._whole.check_cost)

    def pays(self, call: FirstCall) -> bool:
        """Return True if the send of ``call`` is still expected to take fewer requests."""
        if not self._has_learnt((call.step,)):
            return False
        estimates = self._estimates(call.cell)
        return self._expected(estimates, call.step) > _least_share(estimates)

    def end_check(self, call: FirstCall, accepted: Collection[Step], cost: float) -> None:
        """Learn from a state: ``accepted`` are the sends that it permits.

        After a refused send it is an observation of the other sends alone. ``cost`` is the number
        of requests that the first state check took.
        """
        if call.step is Step.CHECK:
            for estimates in (self._estimates(call.cell), self._whole):
                estimates.check_cost += (cost - estimates.check_cost) / COST_MEMORY
        self.release(call)
        for step in SENDS:
            if step is not call.step:
                self._observe(call.cell, step, accepted=step in accepted)

    def end_send(self, call: FirstCall, *, accepted: bool) -> None:
        """Learn from the answer to a send without a state check."""
        self.release(call)
        self._observe(call.cell, call.step, accepted=accepted)
        if call.epoch == self._epoch:
            excess = call.expected - accepted
            self._surprise = max(0.0, self._surprise + (excess - self._surprise) / SURPRISE_MEMORY)
            if self._surprise > MOST_SURPRISE:
                self._forget()

    def release(self, call: FirstCall) -> None:
        """End a call that has no answer to learn from, or whose answer was learnt from."""
        if not call.is_pending:
            return
        call.is_pending = False
        if call.step is Step.CHECK:
            self._checking -= 1
        else:
            self._trying -= 1
            self._estimates(call.cell).trying -= 1

    def _has_learnt(self, steps: Sequence[Step]) -> bool:
        return any(self._whole.shares[step].weight >= LEAST_OBSERVATIONS for step in steps)

    def _expected(self, estimates: _CellEstimates, step: Step) -> float:
        whole = self._whole.shares[step].shrunk_towards(0.0, 1.0)
        return estimates.shares[step].shrunk_towards(whole, PRIOR_WEIGHT)

    def _observe(self, cell: Cell, step: Step, *, accepted: bool) -> None:
        for estimates in (self._estimates(cell), self._whole):
            estimates.shares[step].add(accepted=accepted)

    def _estimates(self, cell: Cell) -> _CellEstimates:
        found = self._cells.get(cell)
        if found is None:
            key = cell if len(self._cells) < MOST_CELLS else _OTHER_CELLS
            found = self._cells.setdefault(key, _CellEstimates(self._whole.check_cost))
        return found

    def _forget(self) -> None:
        """Forget all observations; what has no answer yet keeps its place."""
        for estimates in (*self._cells.values(), self._whole):
            estimates.shares = {step: Share() for step in SENDS}
        self._surprise = 0.0
        self._epoch += 1


def _least_share(estimates: _CellEstimates) -> float:
    """Return the probability above which a send without a state check takes fewer requests."""
    return 1.0 - estimates.check_cost / 2.0
