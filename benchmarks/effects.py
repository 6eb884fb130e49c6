"""What the sandbox's log of effects says about a run: who was reached twice, missed, or wrongly."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher.sandbox.conversation_kinds import expected, kind_name
from dispatcher.sandbox.world.ids import root

_DELIVERED = ("notified", "opened")


@dataclass(frozen=True)
class Account:
    """The people of one run.

    ``missed`` could have been written to and were not; ``wrong`` were written to although their
    row names another person than the platform does.
    """

    messages: int
    reached: int
    twice: int
    missed: int
    wrong: int


def account(effects: Iterable[Mapping[str, Any]], rows: Iterable[str], dialect: str) -> Account:
    """Return the account of the contacts whose conversation ids are ``rows``."""
    times = Counter(
        root(effect["previousConversationId"] or effect["conversationId"]) for effect in effects
    )
    wanted = {row for row in rows if expected(kind_name(row), dialect)[0] in _DELIVERED}
    return Account(
        messages=times.total(),
        reached=len(times),
        twice=sum(number > 1 for number in times.values()),
        missed=len(wanted - times.keys()),
        wrong=len(times.keys() - wanted),
    )


class EffectsReader:
    """Reads the effects that were written since it was last asked."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._position = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the new effects; the sandbox must have written them all."""
        with self._log.open("rb") as file:
            file.seek(self._position)
            lines = file.readlines()
            self._position = file.tell()
        return [json.loads(line) for line in lines]
