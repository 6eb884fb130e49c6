"""Message templates: text with ``{column}`` placeholders."""

import re
from collections.abc import Callable, Mapping
from operator import itemgetter

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NO_NAME = re.compile(r"[!:\[\]]")


class Template:
    """A text with ``{column}`` placeholders; ``{{`` and ``}}`` are braces.

    A placeholder is the name of a column, without format, index or attribute. Values are
    inserted as they are; braces in them have no meaning.

    Raises:
        ValueError: the text is not a template; the message has the place, counted from 1.

    """

    def __init__(self, text: str) -> None:
        names: list[str] = []
        pieces: list[str] = []
        end = 0
        for token in _TOKEN.finditer(text):
            pieces += [_literal(text[end : token.start()]), _piece(token, names)]
            end = token.end()
        self.names = tuple(names)
        self._format = "".join([*pieces, _literal(text[end:])])
        self._values: Callable[[Mapping[str, str]], object] = (
            itemgetter(*names) if names else _nothing
        )

    def renamed(self, names: Mapping[str, str]) -> "Template":
        """Return the same template with the placeholders that are in ``names`` renamed."""
        twin = object.__new__(Template)
        twin.names = tuple(names.get(name, name) for name in self.names)
        twin._format = self._format
        twin._values = itemgetter(*twin.names) if twin.names else _nothing
        return twin

    def render(self, row: Mapping[str, str]) -> str:
        """Return the text with the row's values.

        Raises:
            KeyError: the row lacks a column; the key is its name.

        """
        return self._format % self._values(row)


def _nothing(_row: Mapping[str, str]) -> tuple[()]:
    return ()


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _piece(token: re.Match[str], names: list[str]) -> str:
    """Return the token's piece of the format; add a placeholder's name to ``names``."""
    text, name, place = token.group(), token.group(1), token.start() + 1
    if text in ("{{", "}}"):
        return text[0]
    if name is None:
        raise ValueError(
            f"template, character {place}: a single {text!r}; write {text * 2!r} for a brace"
        )
    if not name.strip() or _NO_NAME.search(name):
        raise ValueError(
            f"template, character {place}: {text!r} is not {{column}}, the plain name of a column"
        )
    names.append(name.strip())
    return "%s"
