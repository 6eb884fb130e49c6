"""Values of all sources, merged key by key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dispatcher.settings.errors import SettingOrigin, SettingsProblem
from dispatcher.settings.key_paths import CAMPAIGNS, KeyPath, holds_keys, item


@dataclass(slots=True)
class Layers:
    """Values by key, the latest one winning, and where each was set.

    ``lists`` has the number of tables of ``campaigns`` and ``clients``, if these are set.
    """

    values: dict[KeyPath, object] = field(default_factory=dict)
    origins: dict[KeyPath, SettingOrigin] = field(default_factory=dict)
    problems: list[SettingsProblem] = field(default_factory=list)
    lists: dict[str, int] = field(default_factory=dict)

    @property
    def listed(self) -> bool:
        """True if campaigns are set as a list."""
        return CAMPAIGNS in self.lists

    def items(self, list_key: str = CAMPAIGNS) -> list[str]:
        """Return the first part of the keys of each item of a list."""
        return [item(number + 1, list_key) for number in range(self.lists.get(list_key, 0))]

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
        for key in self.lists:
            root[key] = [root.pop(name, {}) for name in self.items(key)]
        return root

    def drop_list(self, list_key: str) -> None:
        """Remove a list with all its items."""
        items = self.items(list_key)
        self.lists.pop(list_key, None)
        for path in [path for path in self.values if path[0] in items]:
            self.pop(path)

    def origin(self, path: KeyPath) -> SettingOrigin | None:
        """Return where a key, or else something inside it, was set."""
        if path in self.origins:
            return self.origins[path]
        inside = [o for key, o in self.origins.items() if key[: len(path)] == path]
        return inside[-1] if inside else None

    def repeated(self, list_key: str, *key: str) -> Iterator[KeyPath]:
        """Yield ``key`` of each item of a list that has the string of an earlier item there."""
        earlier: set[str] = set()
        for name in self.items(list_key):
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
