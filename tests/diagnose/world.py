"""A world as plain data: a platform, a run of the command, what happens, and what is true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Action:
    """Something that happens ``at`` so many seconds after the first start of the command.

    ``what`` is the name of a method of `tests.diagnose.stage.Stage`.
    """

    at: float
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def at(seconds: float, what: str, /, **arguments: Any) -> Action:
    """Write an action."""
    return Action(seconds, what, arguments)


@dataclass(frozen=True)
class World:
    """One fault, or a healthy world without ``monitor``.

    ``monitor`` is the one that must fire, ``also`` are others of priority 1 or 2 that are as true.
    ``within`` is how many seconds after ``fault_at`` it fires at the latest: what the daemon needs
    to judge, what the window of the monitor needs, and a minute. ``cause`` is the verdict of the
    log; empty where no run lives that could judge. ``silence`` is how many seconds without any line
    the evaluator adds, for runs that have ended.
    """

    name: str
    title: str
    seconds: float
    monitor: str = ""
    cause: str = ""
    within: float = 0.0
    fault_at: float = 0.0
    also: frozenset[str] = frozenset()
    silence: float = 0.0
    scenario: str = ""
    contacts: int = 2000
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of the world's folder, by their path in it."""
    config: str = ""
    """Settings that are no single values, as TOML; ``{folder}`` is the world's folder."""
    messages: tuple[str, ...] = ()
    """If there are any, contacts are read from the topic of a broker that has them."""
    clients: bool = False
    server: Literal["", "up", "down"] = ""
    """Whether the ledger is on a server of its own, and how that is when the command starts."""
    small_disk: int = 0
    """Megabytes of the disk of the ledger; 0: that of the machine."""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong in it."""
        return not self.monitor
