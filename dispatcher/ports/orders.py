"""Orders of an operator to a store, as plain values that also pass through a control socket."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.status import REPLAYABLE, Reason, Status


class CommandError(DispatcherError, ValueError):
    """An operator's command is malformed, or names something that the ledger does not have."""

    exit_code = ExitCode.USAGE


OrderAnswer = Mapping[str, Any]
"""The result of an order, as JSON values."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects parked contacts, or rejected ones (``status``).

    ``campaign`` and ``reason`` None select all. ``before`` is in seconds since the epoch and
    excludes what was parked later. ``names`` are contact keys, conversation ids or external
    contact ids; empty selects all. ``limit`` selects the first ones in the order of admission.
    """

    before: float
    campaign: str | None = None
    reason: Reason | None = None
    names: tuple[str, ...] = ()
    limit: int | None = None
    status: Status = Status.PARKED

    @classmethod
    def from_dict(cls, command: Mapping[str, Any]) -> Self:
        """Read a selection from the JSON values of a command.

        Raises:
            CommandError: a value is missing, unknown, or of the wrong type.

        """
        unknown = set(command) - set(cls.__slots__)
        if unknown:
            raise CommandError(f"not known: {', '.join(sorted(unknown))}")
        before, limit = command.get("before"), command.get("limit")
        if not isinstance(before, int | float):
            raise CommandError("before: needs a time in seconds since the epoch")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise CommandError("limit: needs a number from 1 on")
        names, campaign = command.get("names", ()), read_campaign(command)
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise CommandError("names: needs a list of strings")
        reason, status = _reason(command.get("reason")), command.get("status", Status.PARKED)
        if status not in REPLAYABLE:
            raise CommandError(f"status: needs one of {', '.join(sorted(REPLAYABLE))}")
        return cls(float(before), campaign, reason, tuple(names), limit, Status(status))

    def to_dict(self) -> dict[str, Any]:
        """Return the selection as the JSON values of a command."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _OfSelection:
    """An order about selected contacts."""

    selection: Selection

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Read the order from the JSON values of a command.

        Raises:
            CommandError: a value is missing, unknown, or of the wrong type.

        """
        return cls(Selection.from_dict(arguments))

    def arguments(self) -> dict[str, Any]:
        """Return the order as the JSON values of a command."""
        return self.selection.to_dict()


@dataclass(frozen=True, slots=True)
class _OfCampaign:
    """An order about one campaign, or with None about all."""

    campaign: str | None

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Read the order from the JSON values of a command.

        Raises:
            CommandError: the campaign is not a string.

        """
        return cls(read_campaign(arguments))

    def arguments(self) -> dict[str, Any]:
        """Return the order as the JSON values of a command."""
        return {"campaign": self.campaign}


@dataclass(frozen=True, slots=True)
class ReplayOrder(_OfSelection):
    """Put the contacts back: in doubt if they were parked in doubt, else ready.

    The answer has their numbers: ``ready`` and ``in_doubt``.
    """

    name: ClassVar = "replay"


@dataclass(frozen=True, slots=True)
class DropOrder(_OfSelection):
    """Settle parked contacts as skipped with reason ``dropped``, and remove their messages.

    The answer has their number: ``dropped``.
    """

    name: ClassVar = "drop"


@dataclass(frozen=True, slots=True)
class PauseOrder(_OfCampaign):
    """Pause the campaign. The answer has since when each is paused: ``paused``."""

    name: ClassVar = "pause"


@dataclass(frozen=True, slots=True)
class ResumeOrder(_OfCampaign):
    """Resume the campaign. The answer has since when each was paused: ``resumed``."""

    name: ClassVar = "resume"


@dataclass(frozen=True, slots=True)
class ApproveOrder(_OfCampaign):
    """Make the refusals final for which a campaign is halted.

    Only the run that is halted can do it: a store refuses it with a `CommandError`.
    """

    name: ClassVar = "approve"


Order = ReplayOrder | DropOrder | PauseOrder | ResumeOrder | ApproveOrder


def read_campaign(command: Mapping[str, Any]) -> str | None:
    """Return the campaign of a command's JSON values; None means all.

    Raises:
        CommandError: it is not a string.

    """
    campaign = command.get("campaign")
    if campaign is not None and not isinstance(campaign, str):
        raise CommandError("campaign: needs a string")
    return campaign


def _reason(value: object) -> Reason | None:
    if value is None:
        return None
    try:
        return Reason(str(value))
    except ValueError:
        raise CommandError(
            f"reason: {value} is not known; the reasons are: {', '.join(Reason)}"
        ) from None
