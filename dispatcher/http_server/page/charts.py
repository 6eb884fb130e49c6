"""Charts as SVG. They have no text of their own: the figures are beside them as text."""

from collections.abc import Mapping, Sequence

from dispatcher.domain.course import CoursePoint
from dispatcher.http_server.page.html import Markup, element

OUTCOMES = ("notified", "opened", "skipped", "rejected", "parked")
"""The final statuses, as they are stacked from below."""
WIDTH, HEIGHT = 600, 160
BAR_HEIGHT = 12


def course_chart(points: Sequence[CoursePoint], left: int, end: float | None, label: str) -> Markup:
    """Return outcomes over time, stacked, and a dashed line to the expected end.

    ``left`` are the contacts that are not final, ``end`` is when the last one will be, in seconds
    after the start; None if it is not known.
    """
    now = points[-1].seconds
    total = sum(points[-1].final.values())
    across = max(end or now, now, 1.0)
    high = max(total + left, 1)

    def place(seconds: float, number: float) -> tuple[int, int]:
        return round(WIDTH * seconds / across), round(HEIGHT * (1 - number / high))

    lower = [0.0] * len(points)
    layers = []
    for name in OUTCOMES:
        upper = [low + p.final.get(name, 0) for low, p in zip(lower, points, strict=True)]
        if upper[-1] > lower[-1]:
            edge = [place(p.seconds, n) for p, n in zip(points, upper, strict=True)]
            floor = [place(p.seconds, n) for p, n in zip(points, lower, strict=True)]
            layers.append(_polygon([*edge, *reversed(floor)], name))
        lower = upper
    x, y = place(now, total)
    ahead = None if end is None or end <= now else _line((x, y), place(end, high), "ahead")
    marks = [_line((x, 0), (x, HEIGHT), "now"), ahead]
    grid = [_line((0, HEIGHT * n // 4), (WIDTH, HEIGHT * n // 4), "grid") for n in range(1, 4)]
    return _svg("course", WIDTH, HEIGHT, label, *grid, *layers, *marks)


def shares_bar(shares: Mapping[str, float], whole: float, label: str) -> Markup:
    """Return one bar with a piece for each share of ``whole``, by class."""
    start, pieces = 0.0, []
    for name, share in shares.items():
        width = WIDTH * min(max(share / whole if whole else 0.0, 0.0), 1.0)
        width = min(width, WIDTH - start)
        if width > 0:
            pieces.append(_rect(start, width, name))
        start += width
    return _svg("bar", WIDTH, BAR_HEIGHT, label, *pieces)


def lineage_graph(confirmed: str, label: str, end: str) -> Markup:
    """Return the link between two conversations; ``confirmed`` is its class, ``end`` its end's."""
    middle = BAR_HEIGHT
    return _svg(
        "link", 120, 2 * BAR_HEIGHT, label,
        element("circle", cx="10", cy=middle, r="7", class_="old"),
        element("line", x1="17", y1=middle, x2="98", y2=middle, class_=confirmed),
        element("path", d=f"M98 {middle - 5} l8 5 l-8 5 z", class_=confirmed),
        element("circle", cx="113", cy=middle, r="6", class_=end),
        scaled=False,
    )  # fmt: skip


def _svg(
    kind: str, width: int, height: int, label: str, *parts: str | None, scaled: bool = True
) -> Markup:
    return element(
        "svg", *parts, class_=f"chart {kind}", viewBox=f"0 0 {width} {height}", role="img",
        preserveAspectRatio="none" if scaled else None, aria_label=label, focusable="false",
    )  # fmt: skip


def _polygon(corners: Sequence[tuple[int, int]], name: str) -> Markup:
    points = " ".join(f"{x},{y}" for x, y in _without_repeats(corners))
    return element("polygon", points=points, class_=f"of-{name}")


def _without_repeats(corners: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [c for n, c in enumerate(corners) if n == 0 or c != corners[n - 1]]


def _line(start: tuple[int, int], end: tuple[int, int], name: str) -> Markup:
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=name)


def _rect(start: float, width: float, name: str) -> Markup:
    return element(
        "rect", x=round(start, 1), y=0, width=round(width, 1), height=BAR_HEIGHT, class_=name
    )
