"""What is wrong with the settings, with its place and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dispatcher.domain.errors import DispatcherError, ExitCode, list_mistakes

if TYPE_CHECKING:
    from dispatcher.settings.model import Settings

DEFAULTS = "defaults"
"""The origin of a value that is not set anywhere."""
MISSING = "is missing"
"""The problem of a key that is not set although it is needed."""
UNKNOWN = "is not known"
"""The problem of a key that does not exist."""


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """Where a value was set: a file and its line, ``environment``, ``--set`` or a flag."""

    where: str
    line: int | None = None

    def __str__(self) -> str:
        return self.where if self.line is None else f"{self.where}:{self.line}"

    def problem(self, key: str, problem: str, hint: str = "") -> "SettingsProblem":
        """Return a problem with a value that was set here."""
        return SettingsProblem(self.where, key, problem, hint, self.line)


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One problem: where it was set, the key, what is wrong and what to do."""

    where: str
    key: str
    problem: str
    hint: str = ""
    line: int | None = None

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {self.key} {self.problem}{hint}"

    @property
    def place(self) -> str:
        """Where it was set, with the line if it is in a file."""
        return str(SettingOrigin(self.where, self.line))


class SettingsError(DispatcherError):
    """The settings cannot be used; ``mistakes`` names everything that is wrong with them.

    ``readable`` are the settings with a default for each invalid value, for telemetry alone; None
    if nothing could be read.
    """

    exit_code = ExitCode.USAGE

    def __init__(
        self, mistakes: Sequence[SettingsProblem], readable: "Settings | None" = None
    ) -> None:
        self.mistakes = tuple(mistakes)
        self.readable = readable
        super().__init__(list_mistakes(self.mistakes))


class WrongValueError(ValueError):
    """A value that a field does not accept, with a hint what to write instead."""

    def __init__(self, problem: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(problem)
