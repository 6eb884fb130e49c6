"""What the facts show about the platform, the tokens and the OAuth clients."""

from collections.abc import Iterator, Sequence

from dispatcher.domain.condition import Cause, EvidenceValue, Finding
from dispatcher.domain.condition_facts import HaltFact, Outage, PlatformFacts, Refusal
from dispatcher.domain.status import HaltReason

SHORTEST_HALT = 3.0
"""Seconds: a shorter halt is no cause. One forbidden contact halts a client for milliseconds, until
another contact shows that the client may send."""
OUTAGE_SECONDS = 30.0
"""After so long without a good answer the platform counts as down: a restart of a server behind a
load balancer takes less."""
OUTAGE_ANSWERS = 5
"""With fewer answers nothing is known of the platform."""
OUTAGE_CONTACTS = 3
"""A single contact for which the platform fails says nothing about the others."""
OUTAGE_SILENCE = 120.0
"""Seconds after the last answer in which an outage goes on, if no contact is left to ask for."""
OUTAGE_SILENCE_WITH_WORK = 600.0
"""The same while contacts are left: they are tried again after five minutes at most by default."""
LEAST_ANSWERS = 20
"""With fewer answers in a minute a share says nothing."""
ERROR_SHARE = 0.2
"""Above this share of errors most contacts need more requests than usual."""
TIMEOUT_SHARE = 0.1
"""Lower than for errors: each holds a worker for the whole time-out, and a send is in doubt."""
SLOW_SHARE = 0.05
"""The share of slow answers that is tolerated: above it the 95th percentile is slow."""
REFUSED_TOKENS = 3
"""Young tokens refused in five minutes. One is refused where somebody revokes it, or
rotates the secret."""
FAILED_TOKENS = 3
FAILED_TOKEN_SHARE = 0.2
UNEXPLAINED_TOKENS = 10
"""Tokens in five minutes beside those for probes and refusals; one an hour or a day is normal."""

HALT_CAUSES = {
    HaltReason.CREDENTIALS: Cause.CREDENTIALS,
    HaltReason.UNAUTHORIZED: Cause.UNAUTHORIZED,
    HaltReason.SCOPE: Cause.SCOPE_MISSING,
    HaltReason.PERMISSION: Cause.PERMISSION,
    HaltReason.DIVISION: Cause.DIVISION,
    HaltReason.FORBIDDEN: Cause.FORBIDDEN,
    HaltReason.PLATFORM_DOWN: Cause.PLATFORM_DOWN,
    HaltReason.FAILURES: Cause.FAILURES,
    HaltReason.SUSPICIOUS: Cause.SUSPICIOUS,
    HaltReason.PAUSED: Cause.PAUSED,
}
"""The cause that each halt shows."""
LEAST_HALTS = {HaltReason.PLATFORM_DOWN: OUTAGE_SECONDS}
"""Seconds from which halts are a cause, where a short one is usual: a network may fail a while."""
_GRANTS = frozenset(
    {
        HaltReason.UNAUTHORIZED,
        HaltReason.SCOPE,
        HaltReason.PERMISSION,
        HaltReason.DIVISION,
        HaltReason.FORBIDDEN,
    }
)


def platform_findings(facts: PlatformFacts, *, work_left: bool) -> Iterator[Finding]:
    """Yield what is wrong with the platform, the tokens or the clients, in no order.

    ``work_left`` is whether there are contacts that are not final.
    """
    yield from _halts(facts)
    if facts.outage is not None and is_outage(facts.outage, work_left=work_left):
        yield _outage(facts.outage, facts)
    yield from _errors(facts)
    yield from _slow(facts)
    yield from _tokens(facts)


def halt_finding(halt: HaltFact, evidence: dict[str, EvidenceValue] | None = None) -> Finding:
    """Return the cause that a halt shows; ``evidence`` is what else is known."""
    seconds = round(halt.seconds, 1)
    values: dict[str, EvidenceValue] = {"halted_seconds": seconds, **(evidence or {})}
    if halt.detail:
        values["detail"] = halt.detail
    if halt.client:
        values["client"] = halt.client
    who = f"client {halt.client} has been" if halt.client else "it has been"
    words = f"{who} halted for {seconds:g} s: {halt.detail or halt.reason}"
    return Finding(HALT_CAUSES[halt.reason], words, values)


def is_cause(halt: HaltFact) -> bool:
    """Return True if a halt has lasted long enough to be a cause."""
    return halt.seconds >= LEAST_HALTS.get(halt.reason, SHORTEST_HALT)


def is_outage(outage: Outage, *, work_left: bool) -> bool:
    """Return True if the platform is down by its answers, and does not rather refuse by 429."""
    silence = OUTAGE_SILENCE_WITH_WORK if work_left else OUTAGE_SILENCE
    return (
        outage.seconds >= OUTAGE_SECONDS
        and outage.answers >= OUTAGE_ANSWERS
        and outage.contacts >= OUTAGE_CONTACTS
        and outage.answers >= outage.refusals
        and outage.silence <= silence
    )


def _halts(facts: PlatformFacts) -> Iterator[Finding]:
    """Yield the halts of the run if all clients are halted, else that of single clients."""
    halts = [halt for halt in facts.halts if is_cause(halt)]
    halted = {halt.client for halt in halts}
    if "" in halted or len(halted) >= facts.clients:
        yield from (halt_finding(halt, _refused(halt, facts)) for halt in halts)
    elif halts:
        yield _client_halted(halts, facts)


def _client_halted(halts: Sequence[HaltFact], facts: PlatformFacts) -> Finding:
    names = sorted({halt.client for halt in halts})
    longest = max(halts, key=lambda halt: halt.seconds)
    shown = halt_finding(longest, _refused(longest, facts))
    words = f"{len(names)} of {facts.clients} clients halted ({', '.join(names)}): {shown.words}"
    evidence = {**shown.evidence, "reason": longest.reason.value, "halted_clients": len(names)}
    return Finding(Cause.CLIENT_HALTED, words, evidence)


def _refused(halt: HaltFact, facts: PlatformFacts) -> dict[str, EvidenceValue]:
    """Return the last refusal if it explains the halt, and failing token requests."""
    evidence: dict[str, EvidenceValue] = {}
    refusal = facts.refusal
    if halt.reason in _GRANTS and refusal is not None and refusal.client == halt.client:
        evidence |= _answer(refusal)
    tokens = facts.tokens
    if halt.reason in (HaltReason.PLATFORM_DOWN, HaltReason.CREDENTIALS) and tokens.failed:
        evidence |= {
            "token_requests": tokens.requests,
            "token_requests_failed": tokens.failed,
            "token_status": tokens.last_failure,
        }
    return evidence


def _answer(refusal: Refusal) -> dict[str, EvidenceValue]:
    named: dict[str, EvidenceValue] = {"status": refusal.status}
    if refusal.correlation_id:
        named["correlation_id"] = refusal.correlation_id
    if refusal.missing:
        named["missing"] = ", ".join(refusal.missing)
    if refusal.client:
        named["client"] = refusal.client
    return named


def _fault(facts: PlatformFacts) -> dict[str, EvidenceValue]:
    return {} if facts.fault is None else _answer(facts.fault)


def _outage(outage: Outage, facts: PlatformFacts) -> Finding:
    what = "send" if outage.sends_only else "request"
    statuses = ", ".join(f"{status}: {count}" for status, count in outage.statuses.items())
    words = (
        f"no {what} has had a good answer for {outage.seconds:.0f} s: all {outage.answers} failed"
        f" ({statuses})"
    )
    evidence: dict[str, EvidenceValue] = {
        **_fault(facts),
        "outage_seconds": round(outage.seconds, 1),
        "failed_answers": outage.answers,
        "statuses": statuses,
    }
    return Finding(Cause.PLATFORM_DOWN, words, evidence)


def _errors(facts: PlatformFacts) -> Iterator[Finding]:
    answers = facts.answers
    if answers.total >= LEAST_ANSWERS and answers.errors > ERROR_SHARE * answers.total:
        share = answers.errors / answers.total
        words = f"{answers.errors} of {answers.total} requests of the last minute failed"
        evidence: dict[str, EvidenceValue] = {
            **_fault(facts),
            "errors": answers.errors,
            "answers": answers.total,
            "share": round(share, 3),
        }
        yield Finding(Cause.PLATFORM_ERRORS, f"{words} ({share:.0%})", evidence)


def _slow(facts: PlatformFacts) -> Iterator[Finding]:
    answers = facts.answers
    if answers.total < LEAST_ANSWERS:
        return
    times_out = answers.timeouts > TIMEOUT_SHARE * answers.total
    late = answers.slow + answers.timeouts
    if times_out or late > SLOW_SHARE * answers.total:
        words = (
            f"of {answers.total} requests of the last minute {answers.timeouts} had no answer in "
            f"time, and {answers.slow} took more than {answers.slow_from:.1f} s"
        )
        evidence: dict[str, EvidenceValue] = {
            "timeouts": answers.timeouts,
            "slow": answers.slow,
            "answers": answers.total,
            "slow_from_seconds": round(answers.slow_from, 3),
            "usual_seconds": round(answers.usual, 3),
        }
        yield Finding(Cause.PLATFORM_SLOW, words, evidence)


def _tokens(facts: PlatformFacts) -> Iterator[Finding]:
    tokens = facts.tokens
    many = tokens.failed >= FAILED_TOKENS
    fails = many and tokens.failed > FAILED_TOKEN_SHARE * tokens.requests
    refused = tokens.refused_young >= REFUSED_TOKENS
    if not (fails or refused or tokens.unexplained >= UNEXPLAINED_TOKENS):
        return
    words = (
        f"in five minutes {tokens.requests} tokens were requested: {tokens.failed} requests failed,"
        f" and the platform refused {tokens.refused_young} tokens that were young"
    )
    evidence: dict[str, EvidenceValue] = {
        "token_requests": tokens.requests,
        "token_requests_failed": tokens.failed,
        "young_tokens_refused": tokens.refused_young,
    }
    if tokens.last_failure:
        evidence["token_status"] = tokens.last_failure
    yield Finding(Cause.TOKEN_UNSTABLE, words, evidence)
