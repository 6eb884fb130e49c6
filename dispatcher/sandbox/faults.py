"""Which request is hit by which fault: by chance, by count, or by time."""

from collections import defaultdict
from collections.abc import Iterable

from dispatcher.sandbox.scenario.model import Fault
from dispatcher.sandbox.world.random import generator


class _Rule:
    """One fault with its own dice and its own count of requests."""

    def __init__(self, fault: Fault, seed: int, place: int) -> None:
        self.fault = fault
        self._random = generator(seed, f"fault:{place}")
        self._nth = frozenset(fault.nth)
        self._seen = 0

    def hits(self, elapsed: float) -> bool:
        fault = self.fault
        if elapsed < fault.from_seconds:
            return False
        if fault.until_seconds is not None and elapsed >= fault.until_seconds:
            return False
        self._seen += 1
        if self._nth:
            return self._seen in self._nth
        if fault.every:
            return self._seen % fault.every == 0
        return fault.probability is None or self._random.random() < fault.probability


class FaultPlan:
    """Draws at most one fault for each request; earlier rules win."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._rules: defaultdict[str, list[_Rule]] = defaultdict(list)
        for place, fault in enumerate(faults):
            rule = _Rule(fault, seed, place)
            for endpoint in fault.endpoints:
                self._rules[endpoint].append(rule)

    def draw(self, endpoint: str, elapsed: float) -> Fault | None:
        """Return the fault for this request; ``elapsed`` is in seconds from the first one."""
        rules = self._rules.get(endpoint)
        if rules is None:
            return None
        hit = [rule.fault for rule in rules if rule.hits(elapsed)]
        return hit[0] if hit else None
