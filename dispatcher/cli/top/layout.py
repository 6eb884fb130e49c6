"""Lines that fit into a terminal: words are wrapped, and what matters least is left out."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

_WRAPPING = Console(file=io.StringIO())
LABEL = 10
"""Columns of the words at the left, with a space after them."""

Cut = Callable[[int], list[Text]]


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together.

    ``least`` of them stay where there is little room; a section with 0 is left out first.
    ``cut`` returns so many lines of it.
    """

    lines: Sequence[Text]
    least: int = 1
    cut: Cut | None = None

    def cut_to(self, room: int, width: int) -> list[Text]:
        """Return so many lines; the end of the last one says how many are missing."""
        if room >= len(self.lines):
            return list(self.lines)
        if self.cut is not None:
            return self.cut(room)
        if room <= 0:
            return []
        missing = f" (+{len(self.lines) - room} more)"
        last = self.lines[room - 1].copy()
        last.rstrip()
        last.truncate(max(0, width - len(missing)), overflow="ellipsis")
        return [*self.lines[: room - 1], last.append(missing, style="dim")]


def wrap(text: Text, width: int) -> list[Text]:
    """Return the text as lines of at most ``width`` columns."""
    return list(text.wrap(_WRAPPING, max(1, width))) or [Text()]


def field(label: str, text: Text, width: int, most: int | None = None) -> list[Text]:
    """Return a text with a label at its left; ``most`` is the most lines that it may take."""
    lines = wrap(text, width - LABEL)
    if most is not None and len(lines) > most:
        lines = lines[:most]
        lines[-1].rstrip()
        lines[-1].truncate(width - LABEL - 2)
        lines[-1].append(" …")
    labels = [label, *[""] * (len(lines) - 1)]
    return [
        Text().append(f"{words:<{LABEL}}", style="bold").append_text(line)
        for words, line in zip(labels, lines, strict=True)
    ]


def fit(sections: Sequence[Section], width: int, height: int) -> list[Text]:
    """Return the sections as at most ``height`` lines, with blank lines if there is room.

    The last sections lose lines first, then what is left of the last ones is left out.
    """
    sections = [section for section in sections if section.lines]
    sizes = [len(section.lines) for section in sections]
    wanted = [section.least for section in sections]
    for floors in (wanted, [min(1, least) for least in wanted], [0] * len(wanted)):
        for number in reversed(range(len(sections))):
            over = max(0, sum(sizes) - height)
            sizes[number] = max(min(sizes[number], floors[number]), sizes[number] - over)
    gaps = height - sum(sizes) >= sum(map(bool, sizes)) - 1
    lines: list[Text] = []
    for section, size in zip(sections, sizes, strict=True):
        if size and lines and gaps:
            lines.append(Text())
        lines += section.cut_to(size, width)
    return lines[:height]


def window(number: int, selected: int, room: int) -> int:
    """Return the first of ``number`` rows to show so that the selected one is among them."""
    return max(0, min(selected - room // 2, number - room))
