"""The history of one contact: a list of events in the ledger, for people who investigate it.

An entry is a list of plain values: its time (milliseconds since the epoch), its type, and the
values of that type. It never contains a text, a subject or an address. The entry of a request is

``[at, step, answer, kind, state, correlation id, decision]``

without the parts at its end that are not known. ``answer`` is the HTTP status or the cause of a
missing answer, ``kind`` the `AnswerKind`, ``decision`` the decision after a state check.
"""

from typing import Any

from dispatcher.domain.answer import NoAnswer, Result
from dispatcher.domain.conversation import State
from dispatcher.domain.decision import Decision, Finish, Notify, Open, Wait
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import Defer
from dispatcher.domain.status import Step

HistoryEntry = list[Any]
"""One entry, as the module's docstring describes it."""

CORRELATION_LIMIT = 64
"""Maximum characters of a correlation id in an entry: a platform can send any number."""

FIRST_KEPT, LAST_KEPT = 10, 40
"""Number of entries that a long history keeps from its beginning and from its end."""

MILLISECONDS = 1000
"""Milliseconds of a second."""

OMITTED = "omitted"
"""Type of the entry that replaces the omitted part of a long history; it has their number."""

UNCHECKED = "unchecked"
"""Type of the entry before a send without a state check; it has the step."""

_DECISION_NAMES: dict[type, str] = {
    Notify: "notify",
    Open: "open",
    Wait: "wait",
    Defer: "wait",
    Finish: "finish",
}


def entry(at: float, entry_type: str, *values: object) -> HistoryEntry:
    """Return an entry of that time (seconds since the epoch) and type."""
    return [int(at * MILLISECONDS), entry_type, *values]


def request_entry(
    at: float, step: Step, result: Result, kind: AnswerKind, state: State | None = None
) -> HistoryEntry:
    """Return the entry of a request; ``state`` is the result of a state check."""
    if isinstance(result, NoAnswer):
        return entry(at, step, result.cause, kind)
    correlation = result.correlation_id[:CORRELATION_LIMIT]
    return entry(at, step, result.status, kind, state, correlation)


def add_decision(history: list[HistoryEntry], decision: Decision | Defer) -> None:
    """Add a decision to the state check that it follows from, if that is the last entry."""
    if not history:
        return
    last = history[-1]
    if last[1] in _STATE_CHECKS and len(last) == _UNDECIDED:
        last.append(_DECISION_NAMES[type(decision)])


def shorten(history: list[HistoryEntry]) -> None:
    """Replace the middle of a history that has twice the number of entries to keep."""
    if len(history) < 2 * (FIRST_KEPT + LAST_KEPT):
        return
    middle = history[FIRST_KEPT:-LAST_KEPT]
    omitted = sum(entry[2] if entry[1] == OMITTED else 1 for entry in middle)
    history[FIRST_KEPT:-LAST_KEPT] = [[None, OMITTED, omitted]]


_STATE_CHECKS = (Step.CHECK, Step.CHECK_MANY)
_UNDECIDED = 6
"""Number of values in a state check's entry without its decision."""
