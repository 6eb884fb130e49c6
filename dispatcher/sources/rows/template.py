"""Message templates: text with ``{column}`` placeholders, each with a fallback or without one."""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NO_NAME = re.compile(r"[!:\[\]]")
_FALLBACK_SIGN = "|"
_FOREIGN = re.compile(
    r"(?<!\{)\{\{\s*([^{}|]+?)\s*(?:\|[^{}]*)?\}\}(?!\})|%([^%\s]+)%|\[+([^\[\]]+)\]+|<+([^<>]+)>+"
)
"""Placeholders of other programs. In a template of this one they are ordinary text."""

_Placeholder = tuple[str, str | None]
"""The name of a column, and the text for rows that have no value there; None: there is none."""


class Template:
    """A text with ``{column}`` placeholders; ``{{`` and ``}}`` are braces.

    A placeholder is the name of a column, without format, index or attribute. Values are
    inserted as they are; braces in them have no meaning. ``{column|fallback}`` inserts the
    fallback if the row has no value in the column; blanks around a fallback do not count, and
    ``{column|}`` inserts nothing.

    ``names`` are the columns in the order of their placeholders. ``required`` are the columns
    without which a row cannot be rendered, ``optional`` all others: each of their placeholders has
    a fallback. ``literal_length`` is the number of characters outside of placeholders.

    Raises:
        ValueError: the text is not a template; the message has the place, counted from 1.

    """

    def __init__(self, text: str) -> None:
        placeholders: list[_Placeholder] = []
        literals: list[str] = [""]
        end = 0
        for token in _TOKEN.finditer(text):
            literals[-1] += text[end : token.start()]
            _add(token, literals, placeholders)
            end = token.end()
        literals[-1] += text[end:]
        self.literal_length = sum(map(len, literals))
        self._format = "%s".join(literal.replace("%", "%%") for literal in literals)
        self._set_placeholders(placeholders)

    def _set_placeholders(self, placeholders: Sequence[_Placeholder]) -> None:
        self._placeholders = tuple(placeholders)
        self.names = tuple(name for name, _ in placeholders)
        self.required = frozenset(name for name, fallback in placeholders if fallback is None)
        self.optional = frozenset(self.names) - self.required
        self._values: Callable[[Mapping[str, str]], object] = (
            itemgetter(*self.names) if self.names else _nothing
        )

    def renamed(self, names: Mapping[str, str]) -> "Template":
        """Return the same template with the placeholders that are in ``names`` renamed."""
        twin = object.__new__(Template)
        twin.literal_length = self.literal_length
        twin._format = self._format
        twin._set_placeholders([(names.get(name, name), text) for name, text in self._placeholders])
        return twin

    def render(self, row: Mapping[str, str]) -> str:
        """Return the text with the row's values; an empty cell is not in the row.

        Raises:
            KeyError: the row lacks a column that has no fallback; the key is its name.

        """
        try:
            return self._format % self._values(row)
        except KeyError:
            if not self.optional:
                raise
        return self._format % tuple(
            row[name] if fallback is None else row.get(name, fallback)
            for name, fallback in self._placeholders
        )

    def fallbacks_used(self, row: Mapping[str, str]) -> frozenset[str]:
        """Return the columns that the row lacks, and for which fallbacks are inserted."""
        return frozenset(name for name in self.optional if name not in row)


def foreign_placeholders(text: str) -> list[tuple[str, str]]:
    """Return the names and the whole of what may be meant as placeholders, but is not replaced."""
    return [(next(filter(None, m.groups())), m.group()) for m in _FOREIGN.finditer(text)]


def _nothing(_row: Mapping[str, str]) -> tuple[()]:
    return ()


def _add(token: re.Match[str], literals: list[str], placeholders: list[_Placeholder]) -> None:
    """Add a brace to the last literal, or a placeholder and an empty literal after it."""
    text, inside, place = token.group(), token.group(1), token.start() + 1
    if text in ("{{", "}}"):
        literals[-1] += text[0]
        return
    if inside is None:
        raise ValueError(
            f"template, character {place}: a single {text!r}; write {text * 2!r} for a brace"
        )
    placeholders.append(_placeholder(inside, text, place))
    literals.append("")


def _placeholder(inside: str, text: str, place: int) -> _Placeholder:
    name, sign, fallback = inside.partition(_FALLBACK_SIGN)
    if not name.strip() or _NO_NAME.search(name):
        raise ValueError(
            f"template, character {place}: {text!r} is not {{column}}, the plain name of a column"
        )
    if _FALLBACK_SIGN in fallback:
        raise ValueError(
            f"template, character {place}: {text!r} has more than one fallback; "
            "write {column|fallback}"
        )
    return name.strip(), fallback.strip() if sign else None
