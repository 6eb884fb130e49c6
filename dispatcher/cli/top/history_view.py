"""The history of a contact as lines for a terminal of any width."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from dispatcher.cli import tables
from dispatcher.cli.tables import printable
from dispatcher.cli.top.layout import wrap

TIMES = frozenset(
    {
        "due", "settled_at", "not_before", "expires_at", "intent_at", "state_at", "sent_at",
        "verified_at",
    }
)  # fmt: skip
"""The facts of a contact that are times."""
_TIME, _WHAT = 14, 10


def history_lines(contacts: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """Return the facts and the history of contacts; all of it is made printable."""
    lines: list[Text] = []
    for contact in contacts:
        if lines:
            lines.append(Text())
        title = f"Contact {printable(contact['key'])} of campaign {printable(contact['campaign'])}"
        lines += wrap(Text(title, style="bold"), width)
        lines += _facts(contact, width)
        lines += _entries(contact["story"], width)
    return lines


def _facts(contact: Mapping[str, Any], width: int) -> Iterator[Text]:
    facts = {
        name: tables.moment(value) if name in TIMES else printable(value)
        for name, value in contact.items()
        if name not in ("story", "key", "campaign") and value not in (None, "")
    }
    label = max([0, *map(len, facts)]) + 1
    for name, value in facts.items():
        yield from _hanging(f"{printable(name):<{label}}", Text(value), width)


def _entries(story: Sequence[Mapping[str, Any]], width: int) -> Iterator[Text]:
    day = ""
    for entry in story:
        at = entry.get("time")
        if at is not None and (its_day := _format("%Y-%m-%d", at)) != day:
            day = its_day
            yield Text(f"{day}, times in UTC", style="bold")
        shown = "" if at is None else f"{_format('%H:%M:%S', at)}.{int(at * 1000) % 1000:03}"
        what = printable(entry.get("what"))
        yield from _hanging(f"{shown:<{_TIME}}{what:<{_WHAT}}", Text(_words(entry)), width)


def _words(entry: Mapping[str, Any]) -> str:
    """Return what an entry has beside its time and its type."""
    names = {"correlation_id": "correlation id", "decision": "decision"}
    return ", ".join(
        f"{names[name]} {printable(value)}" if name in names else printable(value)
        if name in ("answer", "means", "state") else f"{printable(name)} {printable(value)}"
        for name, value in entry.items()
        if name not in ("time", "what") and value not in (None, "")
    )  # fmt: skip


def _hanging(label: str, text: Text, width: int) -> Iterator[Text]:
    """Yield lines of a text that begin below each other, after a label."""
    for number, line in enumerate(wrap(text, max(20, width - len(label) - 1))):
        first = label if number == 0 else " " * len(label)
        yield Text().append(f"{first} ", style="dim").append_text(line)


def _format(pattern: str, seconds: float) -> str:
    return time.strftime(pattern, time.gmtime(seconds))
