"""Values of all sources, merged key by key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dispatcher.settings.errors import SettingOrigin, SettingsProblem
from dispatcher.settings.key_paths import CLIENTS, LIST, KeyPath, holds_keys, item


@dataclass(slots=True)
class Layers:
    """Values by key, the latest one winning, and where each was set.

    ``listed`` is true if campaigns are set as a list; ``campaigns`` and ``clients`` are the
    lengths of the two lists.
    """

    values: dict[KeyPath, object] = field(default_factory=dict)
    origins: dict[KeyPath, SettingOrigin] = field(default_factory=dict)
    problems: list[SettingsProblem] = field(default_factory=list)
    listed: bool = False
    campaigns: int = 0
    clients: int = 0

    def put(self, path: KeyPath, value: object, origin: SettingOrigin) -> None:
        """Set one key, in place of what an earlier layer has for it."""
        for part, inner in _flat(path, value):
            self.origins.pop(part, None)
            self.values[part] = inner
            self.origins[part] = origin

    def pop(self, path: KeyPath) -> SettingOrigin | None:
        """Remove one key; return where it was set, None if it was not."""
        self.values.pop(path, None)
        return self.origins.pop(path, None)

    def add_problem(self, origin: SettingOrigin, key: str, problem: str, hint: str = "") -> None:
        """Add a problem that was found while reading."""
        self.problems.append(origin.problem(key, problem, hint))

    def nested(self) -> dict[str, object]:
        """Return all values as nested tables."""
        root: dict[str, object] = {}
        for path, value in self.values.items():
            table = root
            for part in path[:-1]:
                inner = table.get(part)
                if not isinstance(inner, dict):
                    inner = table[part] = {}
                table = inner
            table[path[-1]] = value
        if self.listed:
            root[LIST] = [root.pop(name, {}) for name in self.items]
        if self.clients:
            root[CLIENTS] = [root.pop(name, {}) for name in self.client_items]
        return root

    def items_of(self, list_key: str) -> list[str]:
        """Return the first parts of the keys of each item of a list."""
        count = self.campaigns if list_key == LIST else self.clients
        return [item(number, list_key) for number in range(1, count + 1)]

    @property
    def items(self) -> list[str]:
        """The first parts of the keys of each of ``[[campaigns]]``."""
        return self.items_of(LIST)

    @property
    def client_items(self) -> list[str]:
        """The first parts of the keys of each of ``[[clients]]``."""
        return self.items_of(CLIENTS)

    def origin(self, path: KeyPath) -> SettingOrigin | None:
        """Return where a key, or else something inside it, was set."""
        if path in self.origins:
            return self.origins[path]
        inside = [o for key, o in self.origins.items() if key[: len(path)] == path]
        return inside[-1] if inside else None

    def repeated(self, items: list[str], *key: str) -> Iterator[KeyPath]:
        """Yield ``key`` of each item that has the same string there as an earlier item."""
        earlier: set[str] = set()
        for name in items:
            path = (name, *key)
            value = self.values.get(path)
            if isinstance(value, str):
                if value in earlier:
                    yield path
                earlier.add(value)


def _flat(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, Mapping) and holds_keys(path):
        for key, inner in value.items():
            yield from _flat((*path, key), inner)
    else:
        yield path, value
