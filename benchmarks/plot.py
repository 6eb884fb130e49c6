"""Bar charts as SVG, written by hand: readable in light and dark, with every figure as text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 860
_COLUMNS = 2
_GAP = 40
_PANEL_WIDTH = (WIDTH - (_COLUMNS + 1) * _GAP) // _COLUMNS
_FIGURE_WIDTH = 62
_CHARACTER = 6.6
"""The width of a character in a label, at most on average."""
_ROW = 22
_BAR = 13
_HEADING = 46
_TITLE = 44

_STYLE = """
svg { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.back { fill: #ffffff; } .rule { stroke: #d0d7de; } .limit { stroke: #9a6700; }
text { fill: #1f2328; font-size: 12px; } .title { font-size: 17px; font-weight: 600; }
.head { font-size: 14px; font-weight: 600; } .note { fill: #59636e; } .warn { fill: #9a6700; }
.other { fill: #8c959f; } .ours { fill: #0969da; } .strong { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .back { fill: #0d1117; } .rule { stroke: #3d444d; } .limit { stroke: #d29922; }
  text { fill: #f0f6fc; } .note { fill: #9198a1; } .warn { fill: #d29922; }
  .other { fill: #656c76; } .ours { fill: #4493f8; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its value and the text of the value; ``ours`` are drawn in colour."""

    label: str
    value: float
    shown: str
    ours: bool = False


@dataclass(frozen=True)
class Heading:
    """A line of text between bars, which names those below it."""

    text: str


@dataclass(frozen=True)
class Panel:
    """Bars of one figure under a title; ``limit`` is a value that was promised."""

    title: str
    note: str
    lines: Sequence[Bar | Heading]
    limit: float | None = None

    @property
    def bars(self) -> list[Bar]:
        """The bars, without headings."""
        return [line for line in self.lines if isinstance(line, Bar)]

    @property
    def height(self) -> int:
        """The height of the panel."""
        return _HEADING + len(self.lines) * _ROW + _GAP // 2


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Return an SVG document with the panels in two columns, from left to right."""
    longest = max((len(bar.label) for panel in panels for bar in panel.bars), default=0)
    label_width = round(longest * _CHARACTER) + 12
    body, top = [], _TITLE
    for first in range(0, len(panels), _COLUMNS):
        row = panels[first : first + _COLUMNS]
        for column, panel in enumerate(row):
            left = _GAP + column * (_PANEL_WIDTH + _GAP)
            body += [f'<g transform="translate({left} {top})">', *_draw(panel, label_width), "</g>"]
        top += max(panel.height for panel in row)
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    named = f'role="img" aria-label="{escape(title)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {named}>',
            f"<style>{_STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{top}"/>',
            _text(_GAP, 28, title, "title"),
            *body,
            "</svg>\n",
        ]
    )


def _draw(panel: Panel, zero: int) -> Iterator[str]:
    """Yield the elements of a panel; ``zero`` is where its bars begin."""
    yield _text(0, 16, panel.title, "head")
    yield _text(0, 33, panel.note, "note")
    space = _PANEL_WIDTH - zero - _FIGURE_WIDTH
    largest = max([bar.value for bar in panel.bars] + [panel.limit or 0.0]) or 1.0
    for number, line in enumerate(panel.lines):
        top = _HEADING + number * _ROW
        if isinstance(line, Heading):
            yield _text(zero - 8, top + _BAR - 2, line.text, "note", "end")
            continue
        width = round(space * line.value / largest, 1)
        yield from _draw_bar(line, zero, top, width, space if panel.limit else width)
    bottom = _HEADING + len(panel.lines) * _ROW
    yield _line(zero, bottom, "rule")
    if panel.limit is not None:
        across = round(zero + space * panel.limit / largest)
        yield _line(across, bottom, "limit", ' stroke-dasharray="4 3"')
        yield _text(across, bottom + 11, "promised", "warn", "middle")


def _draw_bar(bar: Bar, zero: int, top: int, width: float, figure: float) -> Iterator[str]:
    """Yield a bar and its texts; ``figure`` is how far behind zero the text of its value is."""
    middle, strong = top + _BAR - 2, "strong" if bar.ours else ""
    yield _text(zero - 8, middle, bar.label, strong, "end")
    kind = "ours" if bar.ours else "other"
    yield f'<rect class="{kind}" x="{zero}" y="{top}" width="{width}" height="{_BAR}"/>'
    yield _text(zero + figure + 6, middle, bar.shown, strong)


def _text(left: float, top: float, text: str, kind: str, anchor: str = "start") -> str:
    chosen = f' class="{kind}"' if kind else ""
    return f'<text x="{left}" y="{top}"{chosen} text-anchor="{anchor}">{escape(text)}</text>'


def _line(left: float, bottom: float, kind: str, more: str = "") -> str:
    top = _HEADING - 4
    return f'<line class="{kind}" x1="{left}" y1="{top}" x2="{left}" y2="{bottom}"{more}/>'
