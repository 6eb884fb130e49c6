"""The story of one contact: short entries of what was done and seen, kept in the ledger.

An entry is a list of plain values: its time (milliseconds since the epoch), its word, and what
the word needs. It never holds a text, a subject or an address. A request is

``[at, step, answer, meaning, state, correlation id, decision]``

and ends after its last part that is known: ``answer`` is the HTTP status or the loss,
``meaning`` the kind of failure, ``decision`` what was made of a state check.
"""

from typing import Any

from dispatcher.domain.answer import NoAnswer, Result
from dispatcher.domain.conversation import State
from dispatcher.domain.decision import Decision, Finish, Notify, Open, Wait
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import Defer
from dispatcher.domain.status import Reason, RetryReason, Status, Step

HistoryEntry = list[Any]
"""One entry of a story, as the module's text describes it."""

CORRELATION_LIMIT = 64
"""Characters of a correlation id that a story keeps: a platform can send any."""

FIRST_KEPT, LAST_KEPT = 10, 40
"""Entries that a long story keeps, from its beginning and from its end."""

MILLISECONDS = 1000
"""Of a second."""

OMITTED = "omitted"
"""The word of the entry that stands for those a long story left out, with their number."""

_WORDS: dict[type, str] = {
    Notify: "notify",
    Open: "open",
    Wait: "wait",
    Defer: "wait",
    Finish: "finish",
}


def claimed_entry(at: float) -> HistoryEntry:
    """Tell that a worker took the contact; ``at`` is seconds since the epoch, here and below."""
    return [int(at * MILLISECONDS), "claimed"]


def request_entry(
    at: float, step: Step, result: Result, kind: AnswerKind, state: State | None = None
) -> HistoryEntry:
    """Tell how a request ended; ``state`` is what a state check told."""
    if isinstance(result, NoAnswer):
        return [int(at * MILLISECONDS), step, result.cause, kind]
    correlation = result.correlation_id[:CORRELATION_LIMIT]
    return [int(at * MILLISECONDS), step, result.status, kind, state, correlation]


def add_decision(story: list[HistoryEntry], decision: Decision | Defer) -> None:
    """Add a decision to the state check that it follows from, if that was the last thing."""
    if not story:
        return
    last = story[-1]
    if last[1] in _LOOKS and len(last) == _UNDECIDED:
        last.append(_WORDS[type(decision)])


def deferred_entry(at: float, reason: RetryReason, seconds: float) -> HistoryEntry:
    """Tell that the contact went back to the ledger for ``seconds``."""
    return [int(at * MILLISECONDS), "deferred", reason, round(seconds, 3)]


def released_entry(at: float) -> HistoryEntry:
    """Tell that the contact went back to the ledger because the run drains."""
    return [int(at * MILLISECONDS), "released"]


def settled_entry(at: float, status: Status, reason: Reason) -> HistoryEntry:
    """Tell that the contact became final."""
    return [int(at * MILLISECONDS), "settled", status, reason]


def shorten(story: list[HistoryEntry]) -> None:
    """Leave out the middle of a story that has grown to twice of what is kept."""
    if len(story) < 2 * (FIRST_KEPT + LAST_KEPT):
        return
    middle = story[FIRST_KEPT:-LAST_KEPT]
    omitted = sum(entry[2] if entry[1] == OMITTED else 1 for entry in middle)
    story[FIRST_KEPT:-LAST_KEPT] = [[None, OMITTED, omitted]]


_LOOKS = (Step.CHECK, Step.CHECK_MANY)
_UNDECIDED = 6
"""Parts of a state check's entry before its decision."""
