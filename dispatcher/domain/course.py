"""The course of a run: how many contacts became final, and as what, over the whole of its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_POINTS = 120
"""Points that are kept. When there are more, every second one is left out."""


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """The contacts that were final at ``seconds`` after the start, by status."""

    seconds: float
    final: Mapping[str, int]


@dataclass(slots=True)
class Course:
    """Points from the start until now, evenly spaced, in a memory that does not grow."""

    interval: float = 1.0
    points: list[CoursePoint] = field(default_factory=list)

    def add(self, seconds: float, final: Mapping[str, int]) -> None:
        """Add a point, if the last one is old enough."""
        if self.points and seconds < self.points[-1].seconds + self.interval:
            return
        self.points.append(CoursePoint(seconds, dict(final)))
        if len(self.points) > MOST_POINTS:
            self.interval *= 2
            del self.points[1::2]

    def until(self, seconds: float, final: Mapping[str, int]) -> Sequence[CoursePoint]:
        """Return the points, and this one as the last."""
        kept = [point for point in self.points if point.seconds < seconds]
        return [*kept, CoursePoint(seconds, dict(final))]
