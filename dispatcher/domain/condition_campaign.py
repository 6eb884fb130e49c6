"""What the facts show about one campaign: its sends, contacts, source and quota."""

from collections.abc import Iterator

from dispatcher.domain.condition import Cause, EvidenceValue, Finding
from dispatcher.domain.condition_facts import Facts, LookBackFault, QuotaPressure
from dispatcher.domain.condition_platform import halt_finding
from dispatcher.domain.status import HaltReason, RetryReason

LEAST_LOOPS = 3
"""Contacts parked as retry loops in five minutes; one may be a fault of its conversation."""
LEAST_HANDLED = 20
"""With fewer contacts in a minute a share says nothing."""
LEAST_CONFLICTS = 5
CONFLICT_SHARE = 0.1
"""Of the contacts that were sent to; single sessions always close between state check and send."""
LEAST_PARKED = 10
PARKED_SHARE = 0.1
"""Of the contacts that became final. Single contacts are parked in every campaign."""
LEAST_DOUBTS = 10
"""One connection that breaks leaves a few sends in doubt, which are resolved in minutes."""
OTHERS_SHARE = 0.15
"""Less than this part of the quota is a person or a test, not a program beside this one."""
BUSY_SHARE = 0.7
"""Below this use of the whole quota nobody is delayed, whatever others use of it."""
LEAST_OTHERS = 3
"""Requests of others in one window; fewer may be an error of counting."""
LEAST_PRESSURE_SECONDS = 10.0
"""Where windows are shorter than the pause between evaluations."""
GAUGE_SECONDS = 2.0
"""The pause between evaluations: a window may have ended just before one."""
FAILING_SINK_SECONDS = 60.0
"""A database that starts again, or a network that fails for a moment, is back by then."""
SILENT_STREAM_SECONDS = 300.0
"""A stream that is not at its end should have rows; a program that writes it may take a break."""


def campaign_findings(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the campaign, or why it waits, in no order."""
    yield from map(halt_finding, facts.halts)
    yield from _sends(facts)
    yield from _suppression_list(facts)
    yield from _parked(facts)
    yield from _doubts(facts)
    yield from _quota(facts)
    yield from _source(facts)
    yield from _quiet_hours(facts)
    yield from _telemetry(facts)
    yield from _sinks(facts)


def work_left(facts: Facts) -> bool:
    """Return True if there are contacts that are neither final nor in doubt."""
    return facts.backlog > 0 or facts.in_flight > 0


def _sends(facts: Facts) -> Iterator[Finding]:
    """Yield retry loops, or else conflicts: a loop is made of conflicts."""
    evidence: dict[str, EvidenceValue] = {"handled": facts.handled, "conflicts": facts.conflicts}
    if facts.loops >= LEAST_LOOPS:
        words = f"{facts.loops} contacts were parked as retry loops in five minutes"
        evidence |= {"retry_loops": facts.loops, "step": facts.loop_step}
        yield Finding(Cause.RETRY_LOOP, words, evidence)
    elif (
        not facts.loops
        and facts.handled >= LEAST_HANDLED
        and facts.conflicts >= LEAST_CONFLICTS
        and facts.conflicts > CONFLICT_SHARE * facts.handled
    ):
        share = facts.conflicts / facts.handled
        words = (
            f"{facts.conflicts} of {facts.handled} contacts of the last minute ({share:.0%}) met a "
            "session that was in another state than at its state check"
        )
        more: dict[str, EvidenceValue] = {"share": round(share, 3), "step": facts.conflict_step}
        yield Finding(Cause.SESSIONS_CLOSING, words, {**evidence, **more})


def _suppression_list(facts: Facts) -> Iterator[Finding]:
    waits = facts.count("waiting", RetryReason.SUPPRESSION_LIST) or facts.list_waits
    if facts.list_kept:
        words = "the suppression list is damaged, and the last good one is in force"
        yield Finding(Cause.SUPPRESSION_LIST, words, {"kept_last": 1})
    elif waits:
        words = f"{waits} contacts wait, because the suppression list does not fit them"
        yield Finding(Cause.SUPPRESSION_LIST, words, {"waiting": waits})


def _parked(facts: Facts) -> Iterator[Finding]:
    parked = sum(facts.parked.values())
    if parked >= LEAST_PARKED and parked > PARKED_SHARE * facts.settled:
        by_reason = sorted(facts.parked.items(), key=lambda item: -item[1])
        reasons = ", ".join(f"{reason}: {number}" for reason, number in by_reason if number)
        words = f"{parked} of {facts.settled} contacts were parked in ten minutes ({reasons})"
        evidence: dict[str, EvidenceValue] = {
            "parked": parked,
            "settled": facts.settled,
            "reasons": reasons,
        }
        yield Finding(Cause.CONTACTS_PARKED, words, evidence)


def _doubts(facts: Facts) -> Iterator[Finding]:
    in_doubt = facts.count("in_doubt")
    if in_doubt >= LEAST_DOUBTS:
        words = f"{in_doubt} sends have no clear answer, and it is not proved yet what became of"
        why, evidence = _look_back(facts.platform.look_back)
        yield Finding(
            Cause.DOUBTS_PENDING, f"{words} them{why}", {"in_doubt": in_doubt, **evidence}
        )


def _look_back(fault: LookBackFault | None) -> tuple[str, dict[str, EvidenceValue]]:
    """Return why doubts are not resolved, in words and as evidence; empty if nothing fails."""
    if fault is None:
        return "", {}
    words = (
        f"; the endpoint {fault.endpoint}, which shows it, has failed {fault.answers} times in "
        f"{fault.seconds:.0f} s, at last with {fault.status}"
    )
    evidence: dict[str, EvidenceValue] = {
        "endpoint": fault.endpoint,
        "status": fault.status,
        "failed": fault.answers,
    }
    if fault.correlation_id:
        evidence["correlation_id"] = fault.correlation_id
    return words, evidence


def _quota(facts: Facts) -> Iterator[Finding]:
    long_enough = max(facts.window_seconds + GAUGE_SECONDS, LEAST_PRESSURE_SECONDS)
    lasting = [one for one in facts.pressures if one.seconds >= long_enough]
    if lasting:
        most = max(lasting, key=lambda one: one.use.others)
        yield _shared(most)


def is_shared(facts: Facts, pressure: QuotaPressure) -> bool:
    """Return True if others delay the campaign's contacts by what they use of a quota."""
    use, per_window = pressure.use, facts.window_seconds / 60.0
    return (
        facts.oldest_due > 0
        and use.limit > 0
        and use.others >= OTHERS_SHARE * use.limit
        and use.others * per_window >= LEAST_OTHERS
        and use.own + use.others >= BUSY_SHARE * use.limit
    )


def _shared(pressure: QuotaPressure) -> Finding:
    use = pressure.use
    whose = f"the quota of client {pressure.client}" if pressure.client else "the quota"
    words = (
        f"other programs use {use.others:.0f} of the {use.limit:.0f} requests a minute of {whose}, "
        f"and this one {use.own:.0f}"
    )
    evidence: dict[str, EvidenceValue] = {
        "limit": round(use.limit, 1),
        "own": round(use.own, 1),
        "others": round(use.others, 1),
        "share": round(use.others / use.limit, 3) if use.limit else 0.0,
        "lasting_seconds": round(pressure.seconds, 1),
    }
    if pressure.client:
        evidence["client"] = pressure.client
    return Finding(Cause.QUOTA_SHARED, words, evidence)


def _source(facts: Facts) -> Iterator[Finding]:
    """Yield a source that is stalled, or has nothing to do; a paused campaign does not read it."""
    source = facts.source
    if source is None or any(halt.reason is HaltReason.PAUSED for halt in facts.halts):
        return
    age = facts.seconds if source.age is None else source.age
    rows: dict[str, EvidenceValue] = {"rows": source.rows, "source_age_seconds": round(age, 1)}
    waits_for = source.waits_for
    if not source.watched and age <= facts.expected_every:
        waits_for = ""  # a pipe: it is known that rows come seldom
    if waits_for:
        words = f"the source, or a part of it, cannot be read: {waits_for}"
        yield Finding(Cause.SOURCE_STALLED, words, {**rows, "detail": waits_for})
    if facts.oldest_due > 0 or facts.in_flight or waits_for:
        return  # rows are read when their contacts can be worked on
    last = f"its last row came {age:.0f} s ago" if source.rows else f"it had no row for {age:.0f} s"
    if source.ended:
        last = "the source has ended"
    elif facts.expected_every and age > facts.expected_every:
        words = f"{last}, and source.expected_every_minutes is {facts.expected_every / 60:g}"
        yield Finding(Cause.SOURCE_STALLED, words, rows)
        return
    elif not source.watched and not facts.expected_every and age > SILENT_STREAM_SECONDS:
        words = f"the stream has not ended, and {last}"
        yield Finding(Cause.SOURCE_STALLED, words, rows)
        return
    if not work_left(facts) and not facts.count("in_doubt"):
        yield Finding(Cause.SOURCE_IDLE, f"every contact is final, and {last}", rows)


def _quiet_hours(facts: Facts) -> Iterator[Finding]:
    waiting = facts.count("waiting", RetryReason.QUIET_HOURS)
    others = facts.count("waiting") - waiting + facts.count("ready") + facts.in_flight
    if waiting and not others:
        words = f"all {waiting} contacts that are left wait for the end of the quiet hours"
        yield Finding(Cause.QUIET_HOURS, words, {"waiting": waiting})


def _telemetry(facts: Facts) -> Iterator[Finding]:
    if facts.dropped:
        words = f"{facts.dropped} samples of metrics were lost in five minutes"
        named = f": {facts.dropped_detail}" if facts.dropped_detail else ""
        evidence: dict[str, EvidenceValue] = {"samples": facts.dropped}
        yield Finding(Cause.TELEMETRY_LOSSY, f"{words}{named}", evidence)


def _sinks(facts: Facts) -> Iterator[Finding]:
    failing = [one for one in facts.failing_sinks if one.seconds >= FAILING_SINK_SECONDS]
    if failing:
        worst = max(failing, key=lambda one: one.seconds)
        why = worst.error.removeprefix(f"sink {worst.name}: ")
        words = (
            f"the sink {worst.name} has failed for {worst.seconds:.0f} s; {worst.rows} rows of the "
            f"lineage wait for it: {why}"
        )
        evidence: dict[str, EvidenceValue] = {
            "sink": worst.name,
            "rows": worst.rows,
            "sinks": len(failing),
            "detail": why,
        }
        yield Finding(Cause.SINK_BEHIND, words, evidence)
