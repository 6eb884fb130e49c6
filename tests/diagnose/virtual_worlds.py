"""Worlds in virtual time: what needs hours, and the share of the matrix that `make test` plays."""

from collections.abc import Callable
from dataclasses import dataclass

from dispatcher.domain.status import Step
from tests.diagnose.capture import Capture
from tests.diagnose.virtual_run import TimedSource, capture, people
from tests.diagnose.world import World
from tests.support.scripted import GOOD, TIMEOUT, refused

HOUR = 3600.0
NIGHT = 3 * HOUR
_MINUTE = 60.0
_BEGIN = 60.0
_CONTACTS = 150
"""As many contacts as the quota permits in a minute, with a check and a send for each."""


@dataclass(frozen=True)
class VirtualWorld:
    """A world, and what plays it."""

    world: World
    play: Callable[[World], Capture]

    def capture(self) -> Capture:
        """Play it."""
        return self.play(self.world)


def _stream(minutes: float, per_minute: int = _CONTACTS, *, watched: bool = True) -> TimedSource:
    """A source with so many contacts every minute."""
    batches = [
        (_MINUTE * number, people(per_minute, 1 + per_minute * number))
        for number in range(int(minutes))
    ]
    return TimedSource(batches, watched=watched)


def _answering(**by_step: Callable[[int], object]) -> Callable:
    """Answer each step by the number of its request, and well where nothing is said."""
    numbers: dict[Step, int] = {}

    def answer(request):
        number = numbers[request.step] = numbers.get(request.step, -1) + 1
        special = by_step.get(request.step.value)
        return (special(number) if special else None) or GOOD[request.step]

    return answer


def _healthy(name: str, title: str, source: Callable[[], TimedSource], seconds: float, **more):
    world = World(name, title, seconds)
    return VirtualWorld(world, lambda one: capture(name, source(), one.seconds, **more))


def _lose_scope(engine) -> None:
    engine.platform.missing = ("conversations:messaging:write",)
    engine.platform.answer = _answering(open=lambda _: refused(403))


def _fail(engine) -> None:
    engine.platform.answer = lambda _: refused(503)


def _fail_partly(engine) -> None:
    engine.platform.answer = _answering(check=lambda n: refused(500) if n % 10 < 4 else None)


def _time_out(engine) -> None:
    engine.platform.answer = _answering(check=lambda n: TIMEOUT if n % 5 == 0 else None)


def _stall(engine) -> None:
    """Lose the wake-up of the pacer: what waits for a permit waits for ever."""
    engine.pacer._has_queue, engine.pacer._pump = True, lambda: None


def _fault(name: str, title: str, cause: str, within: float, begin: Callable) -> VirtualWorld:
    """A fault that begins after a minute of a run with enough contacts."""
    world = World(
        f"virtual_{name}", title, _BEGIN + within, monitor=cause, cause=cause, within=within,
        fault_at=_BEGIN,
    )  # fmt: skip
    minutes = world.seconds / _MINUTE
    return VirtualWorld(
        world,
        lambda one: capture(one.name, _stream(minutes), one.seconds, actions=[(_BEGIN, begin)]),
    )


STANDSTILL = _fault(
    "no_progress", "nobody gets a permit any more (virtual time)", "no_progress", 780, _stall
)
"""A fault of the dispatcher itself, which cannot be ordered from the installed command."""

LONG = (
    _healthy(
        "hour", "an hour at 300 requests a minute (virtual time)", lambda: _stream(60), HOUR
    ),
    _healthy(
        "night", "a watched folder without new files for three hours (virtual time)",
        lambda: _stream(5), NIGHT, gauge_seconds=10.0,
    ),
    STANDSTILL,
)  # fmt: skip
"""Worlds that need many minutes or hours, or cannot be played otherwise."""

SHORT = (
    _healthy("virtual_run", "four minutes at 300 requests a minute", lambda: _stream(4), 240.0),
    _healthy("virtual_idle", "three minutes without new rows", lambda: _stream(1, 40), 200.0),
    _healthy(
        "virtual_pause", "a pause of a minute", lambda: _stream(3), 240.0,
        actions=[
            (_BEGIN, lambda engine: engine.stream.pause("play")),
            (2 * _BEGIN, lambda engine: engine.stream.resume("play")),
        ],
    ),
    _fault("scope_missing", "the scope is revoked", "scope_missing", 150, _lose_scope),
    _fault("platform_down", "every answer is a 503", "platform_down", 150, _fail),
    _fault("platform_errors", "four checks in ten fail", "platform_errors", 210, _fail_partly),
    _fault("platform_slow", "a state check in five has no answer", "platform_slow", 210, _time_out),
    STANDSTILL,
)  # fmt: skip
"""What `make test` plays."""
