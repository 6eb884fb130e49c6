"""Virtual time: an event loop that jumps to its next timer instead of waiting for it."""

import asyncio
import functools
import selectors

START = 1_000_000.0
"""The wall clock's reading when a test begins."""
MAX_TURNS = 20_000
"""Turns of the loop without time passing, after which it counts as spinning."""


class StuckError(AssertionError):
    """Every task waits for another one, or the loop spins without time passing."""


class _Jumping(selectors.SelectSelector):
    """Advances the loop's time instead of waiting."""

    loop: "VirtualLoop"

    def select(self, timeout=None):
        loop = self.loop
        loop.turns += 1
        loop.still = 0 if timeout else loop.still + 1
        ready = super().select(0) if len(self.get_map()) > 1 else []  # 1: the loop's own pipe
        if loop.stopping or ready:
            return ready
        if timeout is None:
            loop.stopping = True
            raise StuckError("every task waits for another one: a wake-up was lost")
        if loop.still > MAX_TURNS:
            loop.stopping = True
            raise StuckError("a busy loop: it turns and no time passes")
        loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a time of its own; ``turns`` counts its iterations."""

    def __init__(self):
        self.now = 0.0
        self.turns = self.still = 0
        self.stopping = False
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now

    async def shutdown_default_executor(self, *_):
        """There is none: a thread would have another time."""


def in_virtual_time(test):
    """Make a plain test of a coroutine function, run in virtual time."""

    @functools.wraps(test)
    def plain(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return plain


class VirtualClock:
    """The running loop's time; ``sleeps`` counts the calls of `sleep`.

    ``jumped`` is by how many seconds a test has put the wall clock forward.
    """

    def __init__(self):
        self.sleeps = 0
        self.jumped = 0.0

    def time(self):
        return START + self.jumped + self.monotonic()

    def monotonic(self):
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds):
        self.sleeps += 1
        await asyncio.sleep(seconds)


async def until(condition, seconds=1000.0):
    """Let time pass until the condition is true."""
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition never became true")
