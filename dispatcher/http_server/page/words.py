"""Figures and times as people read them on the page."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from dispatcher.domain.figures import STATUS_NAMES, contacts, duration
from dispatcher.http_server.page.html import Html, Markup, element, join

__all__ = [
    "Row", "clock", "contacts", "count", "duration", "facts", "minute", "moment", "name", "plain",
    "section", "size", "table", "with_code",
]  # fmt: skip

Row = tuple[Html, ...]
"""The cells of a row."""

_KIB = 1024
_NAMES = {str(status): name for status, name in STATUS_NAMES.items()}


def count(number: float) -> str:
    """Return a whole number: 12,345."""
    return f"{number:,.0f}"


def size(bytes_: float) -> str:
    """Return a size: 3.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes_ < _KIB:
            return f"{bytes_:.0f} {unit}" if unit == "B" else f"{bytes_:.1f} {unit}"
        bytes_ /= _KIB
    return f"{bytes_:.1f} TiB"


def plain(word: str) -> str:
    """Return a status, a reason or a cause as words: ``not_ended`` is "not ended"."""
    return _NAMES.get(word, word.replace("_", " "))


def name(text: str) -> Markup:
    """Return a name that somebody chose: it may be long, so it may break anywhere."""
    return element("span", text, class_="name")


def with_code(text: str) -> Markup:
    """Return a sentence whose commands are between backticks."""
    parts = text.split("`")
    return join(*(_code(part) if n % 2 else part for n, part in enumerate(parts)))


def _code(text: str) -> Markup:
    """Return a command; no line ends between the hyphens of an option."""
    pieces = (
        element("span", piece, class_="option") if piece.startswith("-") else piece
        for piece in re.split(r"(\s+)", text)
    )
    return element("code", *pieces)


def clock(seconds: float) -> Markup:
    """Return a time of the day in UTC, with the whole time for machines."""
    at = datetime.fromtimestamp(seconds, UTC)
    return element("time", f"{at:%H:%M:%S}", datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def minute(seconds: float) -> Markup:
    """Return a time with its day in UTC, to the minute."""
    at = datetime.fromtimestamp(seconds, UTC)
    return element("time", f"{at:%Y-%m-%d %H:%M}", datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def moment(seconds: float | None) -> Html:
    """Return a time with its day in UTC, to the millisecond; a dash for None."""
    if seconds is None:
        return "\N{EN DASH}"
    at = datetime.fromtimestamp(seconds, UTC)
    text = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"
    return element("time", text, datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def table(
    caption: str, columns: tuple[str, ...], rows: Sequence[Row], *, figures: int = 0
) -> Markup:
    """Return a table; the first cell of a row is its header, the last ``figures`` are numbers."""
    last = len(columns) - figures

    def cell(number: int, child: Html) -> Markup:
        style = "figure" if number >= last else None
        if number == 0:
            return element("th", child, scope="row")
        return element("td", child, class_=style, data_label=columns[number])

    head = element("tr", *(
        element("th", name, scope="col", class_="figure" if n >= last else None)
        for n, name in enumerate(columns)
    ))  # fmt: skip
    body = (element("tr", *(cell(n, child) for n, child in enumerate(row))) for row in rows)
    return element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )


def facts(*pairs: tuple[str, Html]) -> Markup:
    """Return names with their values."""
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", value)) for name, value in pairs),
        class_="facts",
    )


def section(title: str, *children: Html | None, id_: str) -> Markup:
    """Return a section with its heading, which names it."""
    heading = element("h2", title, id=f"{id_}-title")
    return element("section", heading, join(*children), aria_labelledby=f"{id_}-title", id=id_)
