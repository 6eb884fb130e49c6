"""Values from all places, laid over each other key by key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dispatcher.settings.errors import SettingOrigin, SettingsProblem
from dispatcher.settings.key_paths import CLIENTS, LIST, KeyPath, holds_keys, item


@dataclass(slots=True)
class Layers:
    """Values by key, the latest one winning, and where each came from.

    ``listed`` tells whether campaigns were given as a list, ``campaigns`` how many; ``clients``
    tells how many of these there are.
    """

    values: dict[KeyPath, object] = field(default_factory=dict)
    origins: dict[KeyPath, SettingOrigin] = field(default_factory=dict)
    mistakes: list[SettingsProblem] = field(default_factory=list)
    listed: bool = False
    campaigns: int = 0
    clients: int = 0

    def put(self, path: KeyPath, value: object, origin: SettingOrigin) -> None:
        """Set one key, in place of what an earlier layer said."""
        for part, inner in _flat(path, value):
            self.origins.pop(part, None)
            self.values[part] = inner
            self.origins[part] = origin

    def wrong(self, origin: SettingOrigin, key: str, problem: str, hint: str = "") -> None:
        """Note a mistake."""
        self.mistakes.append(SettingsProblem(origin.where, key, problem, hint, origin.line))

    def nested(self) -> dict[str, object]:
        """Return all values as the tables that they came from."""
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

    @property
    def items(self) -> list[str]:
        """The first parts of the keys of each of ``[[campaigns]]``."""
        return [item(number) for number in range(1, self.campaigns + 1)]

    @property
    def client_items(self) -> list[str]:
        """The first parts of the keys of each of ``[[clients]]``."""
        return [item(number, CLIENTS) for number in range(1, self.clients + 1)]

    def origin(self, path: KeyPath) -> SettingOrigin | None:
        """Return where a key, or else something inside of it, was set."""
        if path in self.origins:
            return self.origins[path]
        inside = [o for key, o in self.origins.items() if key[: len(path)] == path]
        return inside[-1] if inside else None


def _flat(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, Mapping) and holds_keys(path):
        for key, inner in value.items():
            yield from _flat((*path, key), inner)
    else:
        yield path, value
