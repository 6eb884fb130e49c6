"""Reading of tables from a scenario file: types, bounds and unknown keys, all mistakes at once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TypeVar, cast

C = TypeVar("C", bound=str)


class Table:
    """One table of the file; every question is remembered, so that unknown keys can be told."""

    def __init__(self, data: object, where: str, mistakes: list[str], file: str) -> None:
        self._where = where
        self._file = file
        self._mistakes = mistakes
        self._asked: list[str] = []
        self._data: Mapping[str, object] = {}
        if isinstance(data, Mapping):
            self._data = data
        else:
            self._note(where or "the scenario", f"must be a table, not {data!r}")

    def _note(self, key: str, text: str) -> None:
        self._mistakes.append(f"{self._file}: {key}: {text}")

    def mistake(self, key: str, text: str) -> None:
        """Add a mistake about one key of this table."""
        self._note(self._path(key), text)

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def get(self, key: str) -> object:
        """Return the raw value, None if it is not there."""
        self._asked.append(key)
        return self._data.get(key)

    def number(self, key: str, default: float, low: float = 0.0, high: float = math.inf) -> float:
        """Return a number within the bounds."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            self.mistake(key, f"must be a number, not {value!r}")
            return default
        if not low <= value <= high:
            self.mistake(key, f"must be {_bounds(low, high)}, not {value!r}")
            return default
        return float(value)

    def optional_number(self, key: str, low: float = 0.0) -> float | None:
        """Return a number, or None if the key is not there."""
        return None if self.get(key) is None else self.number(key, low, low)

    def integer(self, key: str, default: int, low: int = 0) -> int:
        """Return a whole number that is not below ``low``."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            self.mistake(key, f"must be a whole number of at least {low}, not {value!r}")
            return default
        return value

    def optional_integer(self, key: str, low: int = 0) -> int | None:
        """Return a whole number, or None if the key is not there."""
        return None if self.get(key) is None else self.integer(key, low, low)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.mistake(key, f"must be true or false, not {value!r}")
        return default

    def text(self, key: str, default: str) -> str:
        """Return a text that is not empty."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, str) and value:
            return value
        self.mistake(key, f"must be a text that is not empty, not {value!r}")
        return default

    def required_text(self, key: str) -> str:
        """Return a text that must be there."""
        if key not in self._data:
            self.mistake(key, "is missing")
        return self.text(key, "")

    def choice(self, key: str, options: Sequence[C], default: C) -> C:
        """Return one of the options."""
        value = self.get(key)
        if value is None:
            return default
        if value in options:
            return cast("C", value)
        self.mistake(key, f"must be one of {', '.join(options)}, not {value!r}")
        return default

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.mistake(key, f"must be a list of texts, not {value!r}")
        return default

    def integers(self, key: str, low: int = 1) -> tuple[int, ...]:
        """Return a list of whole numbers, empty by default."""
        value = self.get(key)
        if value is None:
            return ()
        if isinstance(value, list | tuple) and all(type(v) is int and v >= low for v in value):
            return tuple(value)
        self.mistake(key, f"must be a list of whole numbers of at least {low}, not {value!r}")
        return ()

    def keys(self) -> list[str]:
        """Return the keys that are there, and take them all as known."""
        self._asked.extend(self._data)
        return list(self._data)

    @contextmanager
    def table(self, key: str) -> Iterator["Table"]:
        """Read a table inside this one; its unknown keys are told when the block ends."""
        value = self.get(key)
        inner = Table({} if value is None else value, self._path(key), self._mistakes, self._file)
        yield inner
        inner.close()

    def tables(self, key: str) -> Iterator["Table"]:
        """Read a list of tables; the unknown keys of each are told as the next is asked for."""
        value = self.get(key)
        if value is not None and not isinstance(value, list | tuple):
            self.mistake(key, f"must be a list of tables ([[{key}]]), not {value!r}")
            return
        for place, item in enumerate(value or (), start=1):
            inner = Table(item, f"{self._path(key)}[{place}]", self._mistakes, self._file)
            yield inner
            inner.close()

    def close(self) -> None:
        """Report every key that nobody asked for."""
        for key in self._data:
            if key not in self._asked:
                near = get_close_matches(str(key), self._asked, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                self.mistake(str(key), f"unknown key{hint}")


def _bounds(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"between {low:g} and {high:g}"
