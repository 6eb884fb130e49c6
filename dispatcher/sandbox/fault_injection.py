"""Which request is hit by which fault."""

from collections import defaultdict
from collections.abc import Iterable

from dispatcher.sandbox.scenario.model import Fault
from dispatcher.sandbox.world.random import generator


class _Rule:
    """One fault with its own random generator and its own count of requests."""

    def __init__(self, fault: Fault, seed: int, number: int) -> None:
        self.fault = fault
        self._random = generator(seed, f"fault:{number}")
        self._nth = frozenset(fault.nth)
        self._requests = 0

    def hits(self, elapsed: float) -> bool:
        fault = self.fault
        if elapsed < fault.from_seconds:
            return False
        if fault.until_seconds is not None and elapsed >= fault.until_seconds:
            return False
        self._requests += 1
        if self._nth:
            return self._requests in self._nth
        if fault.every is not None:
            return self._requests % fault.every == 0
        return fault.probability is None or self._random.random() < fault.probability


class FaultPlan:
    """Draws at most one fault for each request; earlier rules win."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._rules: defaultdict[str, list[_Rule]] = defaultdict(list)
        for number, fault in enumerate(faults):
            rule = _Rule(fault, seed, number)
            for endpoint in fault.targets:
                self._rules[endpoint].append(rule)

    def draw(self, endpoint: str, elapsed: float) -> Fault | None:
        """Return the fault for this request; ``elapsed`` is in seconds since the first request."""
        rules = self._rules.get(endpoint)
        if rules is None:
            return None
        # every rule counts the request, also one that an earlier rule hits
        hits = [rule.fault for rule in rules if rule.hits(elapsed)]
        return hits[0] if hits else None
