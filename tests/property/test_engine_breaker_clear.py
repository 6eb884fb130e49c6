"""A circuit breaker calls ``on_change`` whenever it becomes clear, or is clear no more."""

from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine.clients.breaker import UNREACHABLE_LIMIT, CircuitBreaker
from dispatcher.engine.clock import SystemClock
from tests.support.scripted import EventList, ScriptedPlatform

HALT = st.sampled_from(
    [HaltReason.SCOPE, HaltReason.PLATFORM_DOWN, HaltReason.FORBIDDEN, HaltReason.CREDENTIALS]
)
ACT = st.one_of(
    st.tuples(st.just("halt"), HALT),
    st.sampled_from(["suspend", "release", "answer", "no answer", "probe", "success"]).map(
        lambda name: (name, None)
    ),
)


@given(st.lists(ACT, max_size=40))
def test_every_change_of_clear_is_reported(acts):
    """Who keeps what was reported last knows what holds now."""
    reported = [True]
    breaker = CircuitBreaker(
        ScriptedPlatform(), EventList(), SystemClock(), 1.0,
        lambda: reported.append(breaker.is_clear),
    )  # fmt: skip
    suspended = []
    for name, reason in acts:
        match name:
            case "halt":
                breaker.halt(reason, "a reason", Step.OPEN)
            case "suspend":
                suspended.append(ExitStack())
                suspended[-1].enter_context(breaker.pending_verdict())
            case "release" if suspended:
                suspended.pop().close()
            case "answer":
                breaker.record_reachable()
            case "no answer":
                for _ in range(UNREACHABLE_LIMIT):
                    breaker.record_unreachable("no route")
            case "probe":
                breaker._choose_probe()
                breaker.try_become_probe(1, Step.OPEN)
            case "success":
                breaker.record_success(1, Step.OPEN, 0.0)
        assert reported[-1] is breaker.is_clear
