"""What the facts show if a run makes no progress although work is due, and nothing explains it."""

from collections.abc import Collection
from datetime import UTC, datetime

from dispatcher.domain.condition import Cause, EvidenceValue, Finding
from dispatcher.domain.condition_facts import Facts, Standstill

STANDSTILL_SECONDS = 600.0
"""Requests time out and are repeated within a minute or two, whatever the platform does."""
TIMES_THE_WAIT = 2.0
"""A run that has used up its quota waits for the next window, and one whose requests have no answer
for their time-out: both may be set to many minutes."""
NO_EXPLANATION = frozenset(
    {
        Cause.ROWS_REJECTED,
        Cause.CONTACTS_PARKED,
        Cause.DOUBTS_PENDING,
        Cause.TELEMETRY_LOSSY,
        Cause.SINK_BEHIND,
    }
)
"""Causes that do not explain why contacts make no progress that are due: they concern other
contacts, or none. So they do not hide it either, though some of them last for days."""


def work_due(facts: Facts) -> int:
    """Return how many contacts are due or with a worker; 0 while nothing may be begun.

    What the run holds to compare refusals (``held``) waits for other contacts.
    """
    if facts.halts or facts.platform.halts or facts.draining:
        return 0
    ready = max(facts.count("ready"), 1) if facts.oldest_due > 0 else 0
    return ready + in_hand(facts)


def in_hand(facts: Facts) -> int:
    """Return how many contacts are claimed, and neither final nor held."""
    return max(0, max(facts.in_flight, facts.count("in_flight")) - facts.held)


def standstill(facts: Facts, found: Collection[Cause]) -> Finding | None:
    """Return that nothing moves; None if it does, or if a cause was ``found`` that explains it."""
    still, due = facts.standstill, work_due(facts)
    wait = max(facts.window_seconds, facts.timeout_seconds)
    longest = max(STANDSTILL_SECONDS, TIMES_THE_WAIT * wait)
    if not due or still.seconds < longest or not NO_EXPLANATION.issuperset(found):
        return None
    return _no_progress(still, due, facts)


def _no_progress(still: Standstill, due: int, facts: Facts) -> Finding:
    since = datetime.fromtimestamp(still.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    waits_for = _waits_for(facts)
    words = (
        f"{due} contacts are due, and since {since} ({still.seconds / 60:.0f} minutes) no request "
        f"had an answer, and no contact became final or was deferred; the run waits for {waits_for}"
    )
    evidence: dict[str, EvidenceValue] = {
        "still_seconds": round(still.seconds, 1),
        "still_since": since,
        "due": due,
        "in_flight": in_hand(facts),
        "waits_for": waits_for,
        "loop_lag_ms": round(facts.loop_lag * 1000, 1),
    }
    if facts.ledger is not None:
        evidence["commit_ms"] = round(facts.ledger.commit * 1000, 1)
    return Finding(Cause.NO_PROGRESS, words, evidence)


def _waits_for(facts: Facts) -> str:
    """Return what the run waits for, as far as it knows."""
    if contacts := in_hand(facts):
        return f"a permit, a token, an answer or a commit for {contacts} contacts in flight"
    return "nothing that it knows of: contacts are due, and no worker has one"
