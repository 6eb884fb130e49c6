"""What the functions of the API return."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class Ending(StrEnum):
    """How a dispatch ended."""

    DONE = "done"
    """Every row has its outcome."""
    DEFERRED = "deferred"
    """Contacts are left that are due later, or in doubt: dispatch again later."""
    HALTED = "halted"
    """The platform, a scope or most contacts' refusals stopped it; the log has the reason."""
    PAUSED = "paused"
    """The campaign is paused."""
    DRAINED = "drained"
    """It was interrupted: what was begun is finished, and the rest waits."""
    CUT_OFF = "cut_off"
    """It was interrupted, and what was begun took longer than the limit."""
    FAILED = "failed"
    """Too many of the last contacts failed (`rules.stop_failed_share`)."""
    STOPPED = "stopped"
    """It was interrupted twice, and stopped at once."""


_SENTENCES = {
    Ending.DONE: "every row has its outcome",
    Ending.DEFERRED: "contacts are left that are due later, or in doubt: dispatch again later",
    Ending.HALTED: "halted; the log says why. Correct it, and dispatch again",
    Ending.PAUSED: "the campaign is paused: resume it, and dispatch again",
    Ending.DRAINED: "interrupted; what was begun is finished. Dispatch again for the rest",
    Ending.CUT_OFF: "interrupted, and the drain took longer than its limit: dispatch again",
    Ending.FAILED: "stopped because too many of the last contacts failed",
    Ending.STOPPED: "stopped at once; nothing is lost. Dispatch again for the rest",
}


class _Summary(ABC):
    """Shows figures in a terminal and in a notebook, without anything of a row."""

    @abstractmethod
    def _figures(self) -> Mapping[str, object]:
        """Return the figures by their names."""

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}: {value}" for name, value in self._figures().items())
        return f"<{type(self).__name__} {figures}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
            for name, value in self._figures().items()
        )
        return f"<table>{rows}</table>"


@dataclass(frozen=True, repr=False)
class PlanResult(_Summary):
    """What a dispatch that starts now would do.

    ``outcomes`` has how many contacts would get which status and reason, ``requests`` how many
    requests of each kind that takes; both with their 95% interval. ``rejected`` are the rows that
    cannot become contacts. ``would_halt`` is why the dispatch would halt, None if it would not.
    ``report`` has all figures, as ``dispatcher plan --json`` prints them.
    """

    campaign: str
    new_contacts: int
    duplicates: int
    seconds: float
    would_halt: str | None
    outcomes: "pa.Table" = field(repr=False)
    requests: "pa.Table" = field(repr=False)
    rejected: "pa.Table" = field(repr=False)
    report: Mapping[str, Any] = field(repr=False)

    def _figures(self) -> Mapping[str, object]:
        figures: dict[str, object] = {
            "campaign": self.campaign,
            "new contacts": self.new_contacts,
            "duplicates": self.duplicates,
            "rejected rows": len(self.rejected),
            "seconds": round(self.seconds, 1),
        }
        return figures if self.would_halt is None else {**figures, "halt": self.would_halt}


@dataclass(frozen=True, repr=False)
class DispatchResult(_Summary):
    """What became of the rows of a dispatch.

    ``rows`` has the outcome of each row, also of one that an earlier dispatch sent, and
    ``rejected`` the rows that could not become contacts, with their reasons. ``sent`` are the
    messages of this dispatch alone, ``admitted`` its new contacts, ``duplicates`` its rows that
    were known. The three failures are counted apart.
    """

    campaign: str
    ending: Ending
    sent: int
    admitted: int
    duplicates: int
    scope_errors: int
    closed_session_conflicts: int
    retry_loops: int
    halts: Sequence[str]
    seconds: float
    rows: "pa.Table" = field(repr=False)
    rejected: "pa.Table" = field(repr=False)

    @property
    def done(self) -> bool:
        """Whether every row has its outcome."""
        return self.ending is Ending.DONE

    @property
    def sentence(self) -> str:
        """How the dispatch ended, and what to do."""
        halts = f" ({', '.join(self.halts)})" if self.halts else ""
        return f"{self.campaign}: {_SENTENCES[self.ending]}{halts}"

    def _figures(self) -> Mapping[str, object]:
        return {
            "ending": self.sentence,
            "sent": self.sent,
            "new contacts": self.admitted,
            "duplicates": self.duplicates,
            "rejected rows": len(self.rejected),
            "scope errors": self.scope_errors,
            "closed-session conflicts": self.closed_session_conflicts,
            "retry loops": self.retry_loops,
        }


@dataclass(frozen=True, repr=False)
class StatusResult(_Summary):
    """The status of the campaigns of a ledger.

    ``contacts`` counts them by campaign, status and reason, ``rows`` the rows of the input by what
    became of them. ``left`` contacts are not final. ``running`` is true if a dispatcher answers.
    ``report`` has all of it, as ``dispatcher status --json`` prints it.
    """

    left: int
    running: bool
    eta_seconds: float | None
    contacts: "pa.Table" = field(repr=False)
    rows: "pa.Table" = field(repr=False)
    report: Mapping[str, Any] = field(repr=False)

    def _figures(self) -> Mapping[str, object]:
        by_status: dict[str, int] = {}
        for row in self.contacts.to_pylist():
            by_status[row["status"]] = by_status.get(row["status"], 0) + row["contacts"]
        return {"running": self.running, "not final": self.left, **by_status}


@dataclass(frozen=True, repr=False)
class VerifyResult(_Summary):
    """How many links the platform's records confirm.

    ``failing`` are the first links that they do not, with the verdict of each.
    """

    checked: int
    confirmed: int
    missing: int
    different: int
    failing: "pa.Table" = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether every link that was checked is confirmed."""
        return self.confirmed == self.checked

    def _figures(self) -> Mapping[str, object]:
        names = ("checked", "confirmed", "missing", "different")
        return {name: getattr(self, name) for name in names}


class DispatchInterrupted(KeyboardInterrupt):
    """A dispatch was interrupted, and drained; ``result`` is what it did until then."""

    def __init__(self, result: DispatchResult) -> None:
        super().__init__(result.sentence)
        self.result = result
