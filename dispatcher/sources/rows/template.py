"""Message templates: text with ``{column}`` placeholders."""

import re
from collections.abc import Callable, Mapping
from operator import itemgetter

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NO_NAME = re.compile(r"[!:\[\]]")


class Template:
    """A text with ``{column}`` placeholders; ``{{`` and ``}}`` stand for braces.

    A placeholder is the name of a column and nothing more: no format, no index, no attribute.
    Values are put in as they are and never read as a template again.

    Raises:
        ValueError: the text is no template; the message tells the place, counted from 1.

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
        """Return the same template with its placeholders renamed where ``names`` knows them."""
        twin = object.__new__(Template)
        twin.names = tuple(names.get(name, name) for name in self.names)
        twin._format = self._format
        twin._values = itemgetter(*twin.names) if twin.names else _nothing
        return twin

    def render(self, row: Mapping[str, str]) -> str:
        """Put the row's values in.

        Raises:
            KeyError: the row lacks a column; the key is its name.

        """
        return self._format % self._values(row)


def _nothing(_row: Mapping[str, str]) -> tuple[()]:
    return ()


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _piece(token: re.Match[str], names: list[str]) -> str:
    """Turn a token into its piece of the format; a placeholder's name goes into ``names``."""
    found, name, place = token.group(), token.group(1), token.start() + 1
    if found in ("{{", "}}"):
        return found[0]
    if name is None:
        raise ValueError(
            f"template, character {place}: a single {found!r}; write {found * 2!r} for a brace"
        )
    if not name.strip() or _NO_NAME.search(name):
        raise ValueError(
            f"template, character {place}: {found!r} is not {{column}}, the plain name of a column"
        )
    names.append(name.strip())
    return "%s"
