"""A platform that answers 429 for long, from the answers to the cause."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.condition import Cause
from dispatcher.domain.condition_facts import Facts, HaltFact, PlatformFacts, Throttle
from dispatcher.domain.condition_judgement import judge
from dispatcher.domain.events import Halted, QuotaUse, Resumed, Throttled
from dispatcher.domain.status import HaltReason, Step
from tests.unit.test_condition_tracker import World, healthy

LONG = Throttle(90.0, 0.0, 1, 600.0, hold=510.0)
HELD = Throttle(0.0, 0.0, 9, 30.0, held_back=285.0)
PUT_OFF = {("waiting", "throttled"): 4}
WORK = Facts(in_flight=1)


def facts(throttle, **more):
    """Facts of a run with work, which the platform answers so."""
    return replace(WORK, platform=PlatformFacts(throttles=(throttle,)), **more)


@pytest.mark.parametrize(
    ("shown", "is_named"),
    [
        (facts(LONG), True),
        (facts(replace(LONG, seconds=89.9)), False),
        (facts(replace(LONG, silence=60.0, hold=0.0)), True),
        (facts(replace(LONG, silence=60.1, hold=0.0)), False),
        (facts(LONG, window_seconds=300.0), False),
        (facts(replace(LONG, seconds=450.0), window_seconds=300.0), True),
        (facts(HELD), True),
        (facts(replace(HELD, held_back=284.9)), False),
        (facts(replace(HELD, silence=5.1)), False),
        (facts(HELD, window_seconds=120.0), False),
        (facts(LONG, in_flight=0), False),
        (facts(LONG, in_flight=0, oldest_due=1.0), True),
        (facts(LONG, in_flight=0, contacts=PUT_OFF, backlog=4), True),
        (facts(LONG, in_flight=0, contacts={("waiting", "not_ended"): 4}, backlog=4), False),
    ],
)
def test_when_it_is_named(shown, is_named):
    """A minute and a half without a good answer, or almost five; and contacts are delayed."""
    assert (judge(shown).cause is Cause.THROTTLED) is is_named


def test_a_paused_campaign_is_not_throttled():
    """Nothing is sent because the operator wants it, unless contacts in flight wait."""
    paused = (HaltFact(HaltReason.PAUSED, 30.0),)
    idle = facts(LONG, in_flight=0, contacts=PUT_OFF, backlog=4, halts=paused)
    assert judge(idle).cause is Cause.PAUSED
    assert judge(facts(LONG, halts=paused)).cause is Cause.THROTTLED


def test_the_evidence():
    """For how long, how many, which wait, which endpoints, which limit, how many contacts."""
    opens = replace(LONG, step="open", limit_key="open.per.day", correlation_id="id-1")
    sends = (opens, replace(opens, step="notify", seconds=60.0), replace(opens, step="check"))
    shown = facts(opens, contacts=PUT_OFF)
    finding = judge(replace(shown, platform=PlatformFacts(throttles=sends))).primary
    assert finding.evidence == {
        "throttled_seconds": 90.0, "held_back_seconds": 0.0, "refusals": 1,
        "retry_after_seconds": 600.0, "hold_seconds_left": 510.0, "endpoints": "check, open",
        "limit_key": "open.per.day", "correlation_id": "id-1", "waiting": 4,
    }  # fmt: skip
    assert "no request (check, open) has had a good answer for 90 s" in finding.words
    assert "95% of the last five minutes" in judge(facts(HELD)).primary.words


def test_the_whole_client_comes_before_one_endpoint():
    """Whatever lasted longer."""
    step = replace(LONG, step="open", seconds=900.0)
    shown = replace(WORK, platform=PlatformFacts(throttles=(step, LONG)))
    assert judge(shown).primary.evidence["endpoints"] == "all"


class Platform:
    """A platform that refuses as it likes, and a run that keeps to the waits."""

    def __init__(self, refuses, *, retry_after=60.0, limits=(), world=None):
        self.world = world or World()
        self.refuses, self.retry_after, self.limits = refuses, retry_after, limits
        self.held = {}

    def __call__(self, world, number):
        """Handle a contact: its state check, then its send, unless these are held."""
        send = Step.OPEN if number % 2 else Step.NOTIFY
        for step in (Step.CHECK, send):
            if self._is_held(step):
                world.gauges["contacts"] = {("waiting", "throttled"): 1}
                return
            if self.refuses(step, world.now):
                self._refuse(step)
                return
            world.answer("200" if step is Step.CHECK else "202", step)

    def _is_held(self, step):
        return any(self.held.get(key, 0.0) > self.world.now for key in (None, step))

    def _refuse(self, step):
        self.world.answer("429", step)
        limited = step if step in self.limits else None
        key = f"{step}.limit" if limited else ""
        self.world.sink.emit(Throttled(limited, self.retry_after, key))
        self.held[limited] = self.world.now + self.retry_after


SENDS = (Step.NOTIFY, Step.OPEN)


@pytest.mark.parametrize("retry_after", [0.5, 30.0, 120.0, 3600.0])
@pytest.mark.parametrize(
    ("steps", "limits"),
    [(tuple(Step), ()), (SENDS, ()), (SENDS, SENDS), ((Step.CHECK,), (Step.CHECK,))],
)  # fmt: skip
def test_a_storm_of_429_from_its_beginning_to_its_end(retry_after, steps, limits):
    """After a minute and a half, alone, and over with the first good answers."""
    storm = (1120.0, 1120.0 + 400.0)
    platform = Platform(
        lambda step, now: step in steps and storm[0] <= now < storm[1],
        retry_after=retry_after, limits=limits,
    )  # fmt: skip
    world = platform.world
    assert set(world.run(120, platform)) == {Cause.OK}
    assert set(world.run(88, platform)) == {Cause.OK}
    during = world.run(312, platform)
    assert set(during) <= {Cause.OK, Cause.THROTTLED}
    assert during[Cause.OK] <= 4
    platform.held.clear()
    assert set(world.run(14, platform)) <= {Cause.THROTTLED, Cause.OK}
    assert set(world.run(60, platform)) == {Cause.OK}


@settings(max_examples=15, deadline=None)
@given(
    share=st.floats(0.0, 0.05), retry_after=st.floats(0.0, 5.0),
    seed=st.integers(0, 2**20), limits=st.sampled_from([(), SENDS, tuple(Step)]),
)  # fmt: skip
def test_single_429_never_name_it(share, retry_after, seed, limits):
    """Up to one in twenty, each with a wait of up to five seconds."""
    random = Random(seed)
    platform = Platform(lambda *_: random.random() < share, retry_after=retry_after, limits=limits)
    assert Cause.THROTTLED not in platform.world.run(400, platform)


@pytest.mark.parametrize("used_up_at", [10, 50])
def test_a_window_that_is_used_up_every_minute_is_no_throttle(used_up_at):
    """By this program alone, or with another one: there are good answers in every window."""
    platform = Platform(lambda _, now: now % 60 >= used_up_at)
    world = platform.world

    def contact(world, number):
        platform.retry_after = 60.0 - world.now % 60
        platform(world, number)

    world.gauges["quota"] = QuotaUse(300.0, 150.0, 145.0)
    assert set(world.run(480, contact)) == {Cause.OK, Cause.QUOTA_SHARED}


def test_one_good_answer_a_minute_is_far_too_little():
    """Named within five minutes and then always; over soon after the platform is well."""
    platform = Platform(lambda _, now: now % 60 >= 1.0)
    world = platform.world

    def contact(world, number):
        platform.retry_after = 60.0 - world.now % 60
        platform(world, number)

    world.run(310, contact)
    assert set(world.run(240, contact)) == {Cause.THROTTLED}
    platform.refuses = lambda *_: False
    platform.held.clear()
    world.run(14, platform)
    assert set(world.run(60, platform)) == {Cause.OK}


def test_a_storm_without_rate_headers_proves_no_other_program():
    """The pacer takes what it does not send for use by others."""
    platform = Platform(lambda *_: True, retry_after=10.0)
    world = platform.world
    world.gauges["quota"] = QuotaUse(300.0, 1.0, 299.0)
    assert set(world.run(300, platform)) == {Cause.OK, Cause.THROTTLED}
    platform.refuses = lambda *_: False
    assert Cause.QUOTA_SHARED not in world.run(110, platform)


def test_a_429_to_analytics_may_hold_everything():
    """A look-back without a limit of its own, and an hour's wait."""
    world = World()
    world.run(60, healthy)
    world.answer("429", Step.LOOK_BACK)
    world.sink.emit(Throttled(None, 3600.0, ""))
    world.idle(100)
    assert world.tracker.condition.cause is Cause.THROTTLED


def test_states_that_are_read_together_end_what_holds_everything():
    """Sessions alone are waited for, with one request a minute and another that is refused."""
    world = World()
    for _ in range(10):
        world.answer("429", Step.CHECK_MANY)
        world.sink.emit(Throttled(None, 10.0, ""))
        world.idle(10)
        world.answer("200", Step.CHECK_MANY)
        world.idle(40)
    assert set(world.named()) == {Cause.OK}


def test_an_analytics_limit_holds_no_send():
    """Sends go on."""
    world = World()
    world.answer("429", Step.LOOK_BACK)
    world.sink.emit(Throttled(Step.LOOK_BACK, 3600.0, "analytics.per.day"))
    assert set(world.run(300, healthy)) == {Cause.OK}


def test_a_good_answer_to_an_older_request_ends_no_wait():
    """It left before the 429 came."""
    world = World()
    world.answer("429")
    world.sink.emit(Throttled(None, 600.0, ""))
    world.now += 0.2
    world.answer("200", seconds=0.3)
    world.idle(100)
    assert world.tracker.condition.cause is Cause.THROTTLED


def test_a_platform_that_refuses_faster_than_it_answers_is_not_throttled():
    """Three requests a second get through, and their answers come after the next 429."""
    world = World()
    world.gauges["quota"] = QuotaUse(300.0, 180.0, 120.0)
    for second in range(700):
        world.answer("429")
        world.sink.emit(Throttled(None, 0.4, ""))
        world.now += 0.3
        for _ in range(3):
            world.answer("200", seconds=0.8)
        world.now += 0.7
        if second % 2:
            world.tick()
    assert set(world.named()) == {Cause.OK, Cause.QUOTA_SHARED}


def test_a_429_long_ago_is_forgotten():
    """A second one after ten minutes without a request is a first one."""
    world = World()
    for _ in range(3):
        world.answer("429")
        world.sink.emit(Throttled(None, 1.0, ""))
        assert set(world.idle(600)) == {Cause.OK}


def test_one_of_two_clients_is_throttled():
    """The other sends on, with half of the quotas."""
    world = World(("north", "south"))
    world.answer("429", client="north")
    world.sink.emit(Throttled(None, 600.0, "", "north"))
    world.run(100, lambda one, _: one.answer("200", client="south"))
    assert world.tracker.condition.cause is Cause.THROTTLED
    assert world.tracker.condition.primary.evidence["client"] == "north"


def test_the_halts_of_one_client_explain_no_429_to_another():
    """One is halted for five seconds of each minute, the other waits for ten minutes."""
    world = World(("north", "south"))
    world.answer("429", client="south")
    world.sink.emit(Throttled(None, 600.0, "", "south"))
    for _ in range(2):
        world.run(55, lambda one, _: one.answer("200", client="north"))
        world.sink.emit(Halted(HaltReason.FORBIDDEN, "x", "north"))
        world.idle(5)
        world.sink.emit(Resumed(HaltReason.FORBIDDEN, 5.0, "north"))
    assert world.tracker.condition.cause is Cause.THROTTLED


def test_a_halt_explains_the_time_before():
    """The first minute and a half after it are not counted with it."""
    world = World()
    world.answer("429")
    world.sink.emit(Throttled(None, 3600.0, ""))
    world.sink.emit(Halted(HaltReason.SCOPE, "x"))
    world.idle(300)
    world.sink.emit(Resumed(HaltReason.SCOPE, 300.0))
    world.idle(30)
    assert set(world.idle(50)) == {Cause.OK}
    assert Cause.THROTTLED in world.idle(30)


@pytest.mark.parametrize(
    ("errors", "cause"), [(9, Cause.PLATFORM_DOWN), (1, Cause.THROTTLED), (0, Cause.THROTTLED)]
)
def test_429_among_errors_are_no_good_answers(errors, cause):
    """An outage goes on; what answers 429 for the most part is throttled."""
    world = World()

    def contact(one, number):
        if number % 10 < errors:
            one.answer("503", key=f"k{number}")
        else:
            one.answer("429", key=f"k{number}")
            one.sink.emit(Throttled(None, 1.0, ""))

    world.run(150, contact)
    assert world.tracker.condition.cause is cause


def test_an_outage_that_ends_in_429_is_over():
    """The platform answers again, though it permits nothing."""
    world = World()
    world.run(40, lambda one, number: one.answer("503", key=f"k{number}"))
    assert world.tracker.condition.cause is Cause.PLATFORM_DOWN
    world.answer("429")
    world.sink.emit(Throttled(None, 3600.0, ""))
    world.idle(100)
    assert world.tracker.condition.cause is Cause.THROTTLED
