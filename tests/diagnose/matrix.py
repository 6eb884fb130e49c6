"""Which monitors fire in a world, and whether that is right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.diagnose.agent import collect
from tests.diagnose.capture import Capture
from tests.diagnose.monitor import PHASES, Alarm, Monitor, State
from tests.diagnose.world import World

URGENT = 2
"""Monitors of this priority and above call a person."""


@dataclass(frozen=True)
class Cell:
    """How one monitor answered one world: the seconds from the fault to the alarm by phase."""

    monitor: Monitor
    after: dict[int, float] = field(default_factory=dict)
    states: frozenset[State] = frozenset()

    @property
    def phases(self) -> int:
        """At how many phases it fired."""
        return len(self.after)

    @property
    def urgent(self) -> bool:
        """Whether it calls a person."""
        return self.monitor.priority <= URGENT

    @property
    def shown(self) -> str:
        """The cell of a table: phases, and the seconds of the fastest and the slowest."""
        fastest, slowest = min(self.after.values()), max(self.after.values())
        return f"{self.phases}/{len(PHASES)} after {fastest:.0f}-{slowest:.0f} s"


@dataclass(frozen=True)
class Row:
    """One world: what fired, the log's verdict, and everything that is wrong about it."""

    world: World
    cells: tuple[Cell, ...]
    verdict: str | None
    verdict_after: float | None
    mistakes: tuple[str, ...]

    @property
    def own(self) -> Cell | None:
        """The world's own monitor, if it fired."""
        return next((c for c in self.cells if c.monitor.key == self.world.monitor), None)

    @property
    def others(self) -> tuple[Cell, ...]:
        """The other monitors that fired."""
        return tuple(cell for cell in self.cells if cell is not self.own)


def judge(world: World, capture: Capture, monitors: Sequence[Monitor]) -> Row:
    """Evaluate the monitors over a capture at every phase, and compare with what is true."""
    end = capture.ended + world.silence
    store = collect(capture.lines, end, capture.deaths)
    cells = tuple(
        cell
        for monitor in monitors
        if (cell := _cell(monitor, world, (_first(monitor, store, end, p) for p in PHASES))).after
    )
    verdict = capture.longest_verdict(world.fault_at)
    named = capture.first_verdict(world.cause, world.fault_at)
    after = None if named is None else named - world.fault_at
    row = Row(world, cells, verdict, after, ())
    return Row(world, cells, verdict, after, tuple(_mistakes(row, capture, monitors)))


def _first(monitor: Monitor, store, end: float, phase: int) -> tuple[int, Alarm | None]:
    return phase, next(monitor.play(store, 0.0, end, phase), None)


def _cell(monitor: Monitor, world: World, first: Iterable[tuple[int, Alarm | None]]) -> Cell:
    alarms = {phase: alarm for phase, alarm in first if alarm is not None}
    after = {phase: alarm.time - world.fault_at for phase, alarm in alarms.items()}
    return Cell(monitor, after, frozenset(alarm.state for alarm in alarms.values()))


def _mistakes(row: Row, capture: Capture, monitors: Sequence[Monitor]) -> Iterable[str]:
    world, own = row.world, row.own
    if not world.healthy and world.monitor not in {monitor.key for monitor in monitors}:
        yield f"there is no monitor {world.monitor}"
    elif not world.healthy:
        if own is None or own.phases < len(PHASES):
            yield f"{world.monitor} fired at {own.phases if own else 0} of {len(PHASES)} phases"
        if own and max(own.after.values()) > world.within:
            yield f"{world.monitor} fired after more than {world.within:.0f} s"
        if own and State.WARNING in own.states:
            yield f"{world.monitor} only warned"
    for cell in row.others:
        if (world.healthy or cell.urgent) and cell.monitor.key not in world.also:
            yield f"{cell.monitor.key} fired, too"
    if world.cause and row.verdict != world.cause:
        yield f"the log says {row.verdict}, not {world.cause}"
    yield from capture.notes if not (world.monitor.startswith("exit_")) else ()
