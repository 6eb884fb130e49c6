"""What the facts show about a platform that answers 429 for long."""

from collections.abc import Iterator, Sequence

from dispatcher.domain.condition import Cause, EvidenceValue, Finding
from dispatcher.domain.condition_facts import Facts, Throttle
from dispatcher.domain.status import HaltReason, RetryReason

THROTTLED_SECONDS = 90.0
"""So long without a good answer is more than a window of a minute that is used up: the longest
pause of a program that shares its quota lasts to the window's end."""
THROTTLED_WINDOWS = 1.5
"""The same where windows are longer than a minute, in windows."""
THROTTLE_SILENCE = 60.0
"""Seconds after the last 429, or the end of its hold, in which it goes on without an answer."""
HELD_BACK_SECONDS = 300.0
"""The time in which a few good answers between long pauses are far too few."""
HELD_BACK_SHARE = 0.95
"""Of that time. What is left of it for requests is left of the quota, too: less than a twentieth.
Another program that leaves more is `Cause.QUOTA_SHARED`."""
HELD_BACK_PAUSE = 5.0
"""Seconds without a 429 that end it: what is far too little has shorter pauses."""
LEAST_WINDOWS = 3
"""Windows in `HELD_BACK_SECONDS`; with fewer, single windows would decide."""


def throttle_findings(facts: Facts) -> Iterator[Finding]:
    """Yield a platform that refuses requests by 429 for so long that nothing or little is sent."""
    if not work_due(facts):
        return
    found = [throttle for throttle in facts.platform.throttles if is_throttled(throttle, facts)]
    if found:
        yield _throttled(found, facts)


def work_due(facts: Facts) -> bool:
    """Return True if there are contacts that requests should be made for, or that a 429 put off."""
    if facts.in_flight > 0:
        return True
    is_paused = any(halt.reason is HaltReason.PAUSED for halt in facts.halts)
    is_due = facts.oldest_due > 0 or facts.count("waiting", RetryReason.THROTTLED) > 0
    return is_due and not is_paused


def is_throttled(throttle: Throttle, facts: Facts) -> bool:
    """Return True if a 429 has held requests back for long, without pause or almost so."""
    longest = max(THROTTLED_SECONDS, THROTTLED_WINDOWS * facts.window_seconds)
    if throttle.seconds >= longest and throttle.silence <= THROTTLE_SILENCE:
        return True
    is_known = LEAST_WINDOWS * facts.window_seconds <= HELD_BACK_SECONDS
    goes_on = is_known and throttle.silence <= HELD_BACK_PAUSE
    return goes_on and throttle.held_back >= HELD_BACK_SHARE * HELD_BACK_SECONDS


def is_refused(facts: Facts, client: str) -> bool:
    """Return True if a client got nothing but 429 for a whole window: it shares no quota."""
    return any(
        throttle.client == client
        and not throttle.step
        and throttle.seconds >= facts.window_seconds
        and throttle.silence <= THROTTLE_SILENCE
        for throttle in facts.platform.throttles
    )


def _throttled(found: Sequence[Throttle], facts: Facts) -> Finding:
    """Return the finding of the widest throttle, of those the longest."""
    widest = max(found, key=lambda one: (not one.step, one.seconds, one.held_back))
    same = [one for one in found if bool(one.step) is bool(widest.step)]
    steps = ", ".join(sorted({one.step for one in same if one.step}))
    clients = ", ".join(sorted({one.client for one in same if one.client}))
    what = f"no request ({steps})" if steps else "no request"
    whose = f" of client {clients}" if clients else ""
    left = f", and {widest.hold:.0f} s of it are left" if widest.hold else ""
    words = (
        f"{_since(widest, f'{what}{whose}')}: {widest.refusals} answers were 429, the longest wait "
        f"that they asked for is {widest.retry_after:.0f} s{left}"
    )
    evidence: dict[str, EvidenceValue] = {
        "throttled_seconds": round(widest.seconds, 1),
        "held_back_seconds": round(widest.held_back, 1),
        "refusals": widest.refusals,
        "retry_after_seconds": round(widest.retry_after, 1),
        "hold_seconds_left": round(widest.hold, 1),
        "endpoints": steps or "all",
    }
    named = {
        "limit_key": widest.limit_key,
        "correlation_id": widest.correlation_id,
        "client": clients,
    }
    evidence |= {name: value for name, value in named.items() if value}
    if waiting := facts.count("waiting", RetryReason.THROTTLED):
        evidence["waiting"] = waiting
    return Finding(Cause.THROTTLED, words, evidence)


def _since(throttle: Throttle, what: str) -> str:
    if throttle.seconds >= THROTTLED_SECONDS:
        return f"{what} has had a good answer for {throttle.seconds:.0f} s"
    share = throttle.held_back / HELD_BACK_SECONDS
    return f"{what} was possible in {share:.0%} of the last five minutes"
