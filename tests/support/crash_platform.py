"""The platform of the crash harness: every fault, and the bounds within which it shows effects."""

import json
from typing import Any

TIMEOUT_SECONDS = 1.0
LATE_SECONDS = 0.6
"""The longest delay of a late effect while it is within the bounds."""
LAG_SECONDS = 0.6
"""The longest lag of the platform's own records while it is within the bounds."""
SKEW_SECONDS = 1.0
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


def scenario(*, beyond: bool = False, seed: int = 1) -> str:
    """Write a platform with every fault; ``beyond``: its records lag beyond the bounds."""
    late = LATE_SECONDS * (5 if beyond else 1)
    text = (
        f"seed = {seed}\n[rate]\nallowed = 20000\nwindow_seconds = 1.0\n"
        '[latency.default]\nkind = "lognormal"\nms = 4.0\nsigma = 0.5\nmax_ms = 100\n'
        f"[analytics]\nlag_seconds = {BEYOND_SECONDS if beyond else LAG_SECONDS / 2}\n"
        "straggler_share = 0.02\n"
        f"straggler_lag_seconds = {BEYOND_SECONDS if beyond else LAG_SECONDS}\n"
        "[world]\nended_after = 0.3\n"
    )
    for kind, endpoints, probability, more in _FAULTS:
        delay = f'delay = {{ kind = "uniform", low_ms = 100, high_ms = {late * 1000:.0f} }}\n'
        text += f'[[fault]]\nkind = "{kind}"\nendpoints = {json.dumps(endpoints)}\n'
        text += f"probability = {probability}\n{delay if more == 'delay' else more}"
    weights = "".join(f"{kind} = {weight}\n" for kind, weight in SHARES.items())
    return f"{text}[world.shares]\n{weights}"


def reconcile_settings() -> dict[str, Any]:
    """The bounds of reconciliation, short."""
    return {
        "reconcile.max_effect_delay_seconds": LATE_SECONDS,
        "reconcile.max_lag_seconds": LAG_SECONDS,
        "reconcile.clock_skew_seconds": SKEW_SECONDS,
        "reconcile.look_seconds": 0.3,
    }
