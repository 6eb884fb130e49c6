"""Judges the condition of a campaign's run by its facts."""

from collections.abc import Iterable

from dispatcher.domain.condition import PRECEDENCE, Cause, Condition, Finding
from dispatcher.domain.condition_campaign import campaign_findings, work_left
from dispatcher.domain.condition_facts import Facts
from dispatcher.domain.condition_ledger import ledger_findings
from dispatcher.domain.condition_platform import platform_findings
from dispatcher.domain.condition_rows import row_findings
from dispatcher.domain.condition_standstill import standstill
from dispatcher.domain.condition_throttle import throttle_findings


def judge(facts: Facts) -> Condition:
    """Return the condition that the facts show at this moment.

    The primary cause is the first one by the order of `Cause`. A cause is found at most once: with
    the evidence that is found first.
    """
    found: dict[Cause, Finding] = {}
    for finding in (
        *platform_findings(facts.platform, work_left=work_left(facts)),
        *throttle_findings(facts),
        *ledger_findings(facts),
        *campaign_findings(facts),
        *row_findings(facts),
    ):
        found.setdefault(finding.cause, finding)
    unexplained = standstill(facts, found)
    if unexplained is not None:
        found[unexplained.cause] = unexplained
    return by_precedence(found.values(), facts)


def by_precedence(findings: Iterable[Finding], facts: Facts) -> Condition:
    """Return the condition of several findings, of which none has `Cause.OK`."""
    ordered = sorted(findings, key=lambda finding: PRECEDENCE[finding.cause])
    if not ordered:
        return Condition(_ok(facts))
    return Condition(ordered[0], tuple(ordered[1:]))


def _ok(facts: Facts) -> Finding:
    if facts.settled:
        words = f"{facts.settled} contacts became final in ten minutes"
    else:
        words = "nothing is wrong that the dispatcher knows of"
    return Finding(Cause.OK, words, {"settled": facts.settled, "backlog": facts.backlog})
