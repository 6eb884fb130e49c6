"""Plays worlds: kills at points in an order of chance, and again where the machine was too busy."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.crash_faults import FAULTS, REPLICATED
from tests.support.crash_points import (
    CHECKPOINT,
    DRAIN,
    FILE_LEDGER,
    FOLDER,
    INTAKE,
    KAFKA,
    POINTS,
    POSTGRES,
    ROTATION,
    SQL,
    START,
)
from tests.support.crash_verdict import Verdict
from tests.support.crash_world import World

SETTLED_AT_PACE = 100
"""Contacts after which a run has found its pace, and much lies ready for its workers."""
TRIES = 8
"""How often a run is started so that it reaches a point; each try feeds more contacts."""
STALL_TRIES = 3
"""How often a world is played at most, if stalls of its sandbox explain what is wrong in it."""
_OWN_POINTS = {"glob": ROTATION, "folder": FOLDER, "kafka": KAFKA, "sql": SQL}
"""The points that only one kind of source has."""


def play_without_stalls(
    play: Callable[[Path], Verdict], folder: Path, on_again: Callable[[Verdict], None],
    *, doubt_allowed: bool = False,
) -> Verdict:  # fmt: skip
    """Play a world, and again while stalls of its sandbox explain everything that is wrong.

    Its effects were not within the bounds then, so that the world shows nothing about the runs.
    What is wrong in the last of `STALL_TRIES` counts as it is. Each try has its own folder in
    ``folder``.
    """
    for number in range(STALL_TRIES):
        inner = folder / str(number)
        inner.mkdir()
        verdict = play(inner)
        problems = verdict.problems(doubt_allowed=doubt_allowed)
        if not problems or not verdict.is_of_a_stall or number == STALL_TRIES - 1:
            break
        on_again(verdict)
    return verdict


def kill_everywhere(lived: World, points: Sequence[str], random_kills: int) -> None:
    """Kill once at each of ``points`` and so many times at random, in any order.

    A run may end before its point comes, a drain for one; then the next run is to reach it.

    Raises:
        AssertionError: no run reached a point.

    """
    order = [*points, *[""] * random_kills]
    lived.dice.shuffle(order)
    for point in order:
        settles = settles_before(point, lived, lived.per_cycle // 2)
        killed = any(lived.kill(point, settles=settles) for _ in range(TRIES))
        assert killed, f"{point} was not reached"


def points_for(source: str, ledger: str = "file") -> list[str]:
    """The points that a run over this kind of source and with this kind of ledger passes."""
    others = {name for kind, own in _OWN_POINTS.items() if kind != source for name in own}
    others |= POSTGRES.keys() if ledger == "file" else FILE_LEDGER
    return [name for name in POINTS if name not in others]


def faults_for(source: str, ledger: str = "file", *, replicated: bool = False) -> list[str]:
    """The faults that a run may meet; a source that is a file has no contacts for each run."""
    if ledger == "file" or source == "file":
        return []
    return [name for name in FAULTS if replicated or name not in REPLICATED]


def settles_before(point: str, lived: World, most: int) -> int:
    """How many contacts are settled before a kill at this point, so that each run gets on.

    None for what a run may pass but once, near its start: a small file is admitted at once.
    """
    once = START | FOLDER | ROTATION | CHECKPOINT | KAFKA | SQL
    if point in once or (point in INTAKE and lived.source != "file"):
        return 0
    least = SETTLED_AT_PACE if point in DRAIN else 0
    return least + lived.dice.randrange(max(1, most))
