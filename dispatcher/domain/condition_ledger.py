"""What the facts show about the ledger: whether it answers, the room on its disk, its pace."""

from collections.abc import Iterator

from dispatcher.domain.condition import Cause, EvidenceValue, Finding
from dispatcher.domain.condition_facts import Facts

MEBIBYTE = 2**20
LEAST_FREE = 64 * MEBIBYTE
"""Below it the database's write-ahead log may fill the disk, whatever is left to do: it grows to 32
MiB between two checkpoints, and stays as large."""
BYTES_PER_CONTACT = 2048
"""What a contact may still add to the ledger: its history, its lineage, and pages that are not
full."""
FULL_WITHIN = 1800.0
"""Seconds: a disk that would be full sooner leaves an operator too little time."""
LEAST_TREND_SECONDS = 60.0
"""Before that the growth at a start says nothing."""
LEAST_FALL = 8 * MEBIBYTE
"""Bytes: the write-ahead log alone takes and frees as many."""
SLOW_COMMIT = 0.25
"""Seconds: a healthy disk needs milliseconds, and every send waits for a commit of its intent."""


LONGEST_BLIP = 30.0
"""Seconds without an answer: a server that starts again, or a standby of the database that becomes
the primary, usually answers by then."""


def ledger_findings(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the ledger, in no order."""
    yield from _away(facts)
    yield from _disk(facts)
    ledger = facts.ledger
    if ledger is not None and ledger.commit >= SLOW_COMMIT:
        words = f"a commit of the ledger takes {ledger.commit * 1000:.0f} ms"
        yield Finding(Cause.LEDGER_SLOW, words, {"commit_ms": round(ledger.commit * 1000, 1)})


def bytes_needed(facts: Facts) -> int:
    """Return what the contacts that are left may still need on the ledger's disk."""
    left = facts.backlog + facts.in_flight + facts.count("in_doubt")
    return LEAST_FREE + left * BYTES_PER_CONTACT


def seconds_until_full(facts: Facts) -> float | None:
    """Return in how many seconds the disk is full at its present pace; None: not foreseeable.

    Once the source has ended, the ledger needs no more than its contacts: then only what other
    programs take of the disk counts.
    """
    ledger, trend = facts.ledger, facts.disk
    ended = facts.source is not None and facts.source.ended
    fall = trend.fall - trend.growth if ended else trend.fall
    is_known = trend.seconds >= LEAST_TREND_SECONDS and fall * trend.seconds >= LEAST_FALL
    free = None if ledger is None else ledger.free
    return free / fall if free is not None and is_known else None


def _away(facts: Facts) -> Iterator[Finding]:
    if facts.ledger_away >= LONGEST_BLIP:
        words = f"the ledger's server has not answered for {facts.ledger_away:.0f} s"
        yield Finding(Cause.LEDGER_AWAY, words, {"away_seconds": round(facts.ledger_away, 1)})


def _disk(facts: Facts) -> Iterator[Finding]:
    ledger = facts.ledger
    if ledger is None or ledger.free is None or not ledger.size:
        return  # not known, or not measured: a ledger is never empty
    needed, full_in = bytes_needed(facts), seconds_until_full(facts)
    is_short = ledger.free < needed
    if not is_short and (full_in is None or full_in > FULL_WITHIN):
        return
    words = f"the ledger's disk has {ledger.free / MEBIBYTE:,.0f} MiB free"
    evidence: dict[str, EvidenceValue] = {"free_bytes": ledger.free, "size_bytes": ledger.size}
    if is_short:
        words += f", and what is left to do may need {needed / MEBIBYTE:,.0f} MiB"
        evidence["needed_bytes"] = needed
    if full_in is not None:
        words += f"; at the present pace it is full in {full_in / 60:.0f} minutes"
        evidence["full_in_seconds"] = round(full_in)
    yield Finding(Cause.LEDGER_DISK, words, evidence)
