"""The course of a run since the view was opened, as charts of its rates."""

from collections.abc import Sequence

from rich.text import Text

from dispatcher.cli.top.layout import LABEL, field
from dispatcher.cli.top.view import View

_COURSE = 34
"""Columns beside a chart for its name and its scale."""
_FEW = 5
"""With fewer looks there is no chart."""


def course_lines(view: View) -> list[Text]:
    """Return how the rates went since the session began, as far as there is room."""
    room = view.width - LABEL - _COURSE
    looks = view.course[-room:] if room > 0 else ()
    if len(looks) < _FEW:
        return []
    settled = _chart("contacts/s", [look.settled_10 for look in looks], view)
    requests = _chart("requests/s", [look.requests_10 for look in looks], view)
    return field("course", settled, view.width) + field("", requests, view.width)


def _chart(name: str, rates: Sequence[float], view: View) -> Text:
    levels, highest = "._-=#" if view.ascii_only else "▁▂▃▄▅▆▇█", max(rates)
    scale = (len(levels) - 1) / highest if highest else 0.0
    text = Text(f"{name} ").append("".join(levels[round(rate * scale)] for rate in rates), "cyan")
    return text.append(f" {min(rates):.1f} to {highest:.1f}")
