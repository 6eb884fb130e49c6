"""What the sandbox counts, and the JSON report of it."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict

from dispatcher.sandbox.quota import LimitGate, QuotaWindow

_MAX_SCOPELESS = 10_000


class Counters:
    """Counters of one run; an answer and its cause are counted on delivery."""

    def __init__(self) -> None:
        self.requests = 0
        self.pending_effects = 0
        """Late effects that have not happened yet."""
        self.answers: Counter[tuple[str, int]] = Counter()
        self.causes: Counter[tuple[str, str]] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.undelivered: Counter[str] = Counter()
        self.scopeless: list[dict[str, object]] = []
        """Requests that came while the client had no write scope."""

    def note_scopeless(self, endpoint: str, now: float, wall: float) -> None:
        """Record a request that came while the client had no write scope."""
        if len(self.scopeless) < _MAX_SCOPELESS:
            self.scopeless.append({"wall": wall, "monotonic": now, "endpoint": endpoint})

    def report(
        self, windows: list[QuotaWindow], limits: list[LimitGate], effects: int
    ) -> dict[str, object]:
        """Return all counts as JSON values."""
        return {
            "answers": _nested({(e, str(s)): n for (e, s), n in self.answers.items()}),
            "faults": _nested(self.faults),
            "causes": _nested(self.causes),
            "undelivered": dict(self.undelivered),
            "windows": [asdict(window) for window in windows],
            "limits": {
                gate.limit.key: {"taken": gate.taken, "refused": gate.refused} for gate in limits
            },
            "effects": effects,
            "pending_effects": self.pending_effects,
            "requests": self.requests,
            "cpu_seconds": time.process_time(),
            "api_request_times": self.scopeless,
        }


def _nested(flat: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    nested: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (outer, inner), number in sorted(flat.items()):
        nested[str(outer)][str(inner)] = number  # an enum becomes its value: JSON keys are texts
    return dict(nested)
