"""Which request is hit by which fault, and what is answered then."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.scenario.model import Fault
from dispatcher.sandbox.scenario.value_types import FaultKind
from dispatcher.sandbox.world.random import generator

FAULT_ANSWERS: dict[FaultKind, Callable[[Call, Fault], Response]] = {
    "error_500": lambda call, _: error_responses.refusal(
        call.correlation, 500, "The server had an error", cause="broken"
    ),
    "error_502": lambda _, __: error_responses.page(502, "502 Bad Gateway"),
    "error_503_json": lambda call, fault: error_responses.refusal(
        call.correlation,
        503,
        "Service Unavailable",
        cause="unavailable",
        retry_after=fault.retry_after,
    ),
    "error_503_html": lambda _, __: error_responses.page(
        503, "503 Service Temporarily Unavailable"
    ),
    "html_200": lambda _, __: error_responses.page(200, "Welcome"),
    "redirect": lambda _, fault: error_responses.redirect(fault.status, fault.location),
}
"""The answers of faults that answer instead of the dialect."""


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
