"""The platform of the crash harness: every fault, and the bounds within which it shows effects."""

import json
from typing import Any

TIMEOUT_SECONDS = 1.0
LATE_SECONDS = 0.6
"""The longest delay of a late effect while it is within the bounds."""
LAG_SECONDS = 0.6
"""The longest lag of the platform's own records while it is within the bounds."""
SKEW_SECONDS = 2.0
"""Sandbox and runs have one clock, but a run reads the sandbox's time in whole seconds (its header
Date), so that up to one second is needed. The rest is for a sandbox whose event loop does not run.
"""
STALL_SECONDS = 0.5
"""How long that may be: a request may be read late, and the timer of its effect be late again."""
STRAGGLER_SECONDS = 4.0
"""The longest lag where half of the records are late, and the others are shown at once."""
BEYOND_SECONDS = 3600.0
"""The lag of every message beyond the bounds: no run sees one of its own in time."""
SHARES = {"active": 8, "ended": 8, "closing": 3, "closed": 2, "returning": 1, "channel": 1}

_FAULTS = (
    ("reset_before", ["check", "notify", "open"], 0.01, ""),
    ("reset_after", ["notify", "open"], 0.01, ""),
    ("late_effect", ["notify", "open"], 0.01, "delay"),
    ("error_500", ["check", "notify", "open"], 0.01, ""),
    ("error_502", ["notify", "open"], 0.005, "effect = true\n"),
    ("error_503_json", ["check", "notify", "open"], 0.01, "retry_after = 1\n"),
    ("error_503_html", ["check", "notify", "open"], 0.005, ""),
    ("cut_body", ["check", "notify", "open"], 0.005, ""),
    ("no_answer", ["check", "notify", "open"], 0.001, "effect = true\n"),
)


def scenario(*, beyond: bool = False, stragglers: bool = False, seed: int = 1) -> str:
    """Write a platform with every fault.

    With ``beyond`` its records lag beyond the bounds. With ``stragglers`` half of them lag as far
    as the bounds permit, while the others are shown at once, and guests answer.
    """
    late = LATE_SECONDS * (5 if beyond else 1)
    if stragglers:
        return _with_faults(
            f"seed = {seed}\n[rate]\nallowed = 20000\nwindow_seconds = 1.0\n"
            "[analytics]\nlag_seconds = 0.05\nstraggler_share = 0.5\n"
            f"straggler_lag_seconds = {STRAGGLER_SECONDS}\n"
            "[traffic]\nanswer_share = 1.0\nanswer_seconds = 0.2\n",
            late,
        )
    text = (
        f"seed = {seed}\n[rate]\nallowed = 20000\nwindow_seconds = 1.0\n"
        '[latency.default]\nkind = "lognormal"\nms = 4.0\nsigma = 0.5\nmax_ms = 100\n'
        f"[analytics]\nlag_seconds = {BEYOND_SECONDS if beyond else LAG_SECONDS / 2}\n"
        "straggler_share = 0.02\n"
        f"straggler_lag_seconds = {BEYOND_SECONDS if beyond else LAG_SECONDS}\n"
        "[world]\nended_after = 0.3\n"
    )
    return _with_faults(text, late)


def _with_faults(text: str, late: float) -> str:
    for kind, endpoints, probability, more in _FAULTS:
        delay = f'delay = {{ kind = "uniform", low_ms = 100, high_ms = {late * 1000:.0f} }}\n'
        text += f'[[fault]]\nkind = "{kind}"\nendpoints = {json.dumps(endpoints)}\n'
        text += f"probability = {probability}\n{delay if more == 'delay' else more}"
    weights = "".join(f"{kind} = {weight}\n" for kind, weight in SHARES.items())
    return f"{text}[world.shares]\n{weights}"


def reconcile_settings(*, stragglers: bool = False) -> dict[str, Any]:
    """The bounds of reconciliation, short."""
    return {
        "reconcile.max_effect_delay_seconds": LATE_SECONDS,
        "reconcile.max_lag_seconds": STRAGGLER_SECONDS if stragglers else LAG_SECONDS,
        "reconcile.clock_skew_seconds": SKEW_SECONDS,
        "reconcile.look_seconds": 0.3,
    }
