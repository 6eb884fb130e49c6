"""A run in virtual time whose metrics are captured: hours of it take seconds.

The engine, the pacer, the judgement of the condition and the metrics are those of the package; the
platform, the ledger and the socket are fakes, so everything that only they show is missing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from dispatcher.domain.contact import Contact
from dispatcher.domain.events import ConditionJudged, LedgerState
from dispatcher.pacing.pacer import QuotaPacer
from dispatcher.ports import Batch
from dispatcher.telemetry.condition.platform_tracker import PlatformTracker
from dispatcher.telemetry.condition.tracker import ConditionTracker, TrackerOptions
from dispatcher.telemetry.fanout import Fanout, HandlerSink
from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.sink import StatsdSink
from dispatcher.telemetry.metrics.wire import UDP_BYTES, pack
from tests.diagnose.capture import Capture
from tests.support.engine import EngineFixture
from tests.support.memory_ledger import MemoryLedger
from tests.support.quota import FixedWindow
from tests.support.scripted import ScriptedPlatform, throttled
from tests.support.virtual import VirtualLoop

TAGS = "env:diagnose"
FLUSH_SECONDS = 2.0
WORKERS = 8


class _Recording:
    """What a delivery does, with a list in the place of the socket."""

    connected = True
    refusal_is_late = False

    def __init__(self, writer, now: Callable[[], float]) -> None:
        self.datagrams: list[tuple[float, str]] = []
        self._writer, self._now = writer, now

    def deliver(self, batch, seconds):
        for packet in pack(batch, self._writer, UDP_BYTES):
            self.datagrams.append((self._now(), packet.data.decode()))
        return [], None


class _RoomyLedger(MemoryLedger):
    """A ledger whose disk has room."""

    async def overview(self, now):
        overview = await super().overview(now)
        return replace(overview, file=LedgerState(2**20, free=2**30, commit=0.001))


class _Verdicts(HandlerSink):
    """Writes the causes of the condition down when they change, as the log does."""

    def __init__(self, found: Capture, now: Callable[[], float]) -> None:
        self._found, self._now = found, now
        self.handlers = {ConditionJudged: self._judged}

    def _judged(self, event: ConditionJudged) -> None:
        if event.changed_from is not None:
            self._found.verdicts.append((self._now(), str(event.condition.cause)))


class WindowedPlatform(ScriptedPlatform):
    """A scripted platform with a fixed rate window, whose state the answers carry."""

    def __init__(self, window: FixedWindow, answer=None) -> None:
        super().__init__(answer)
        self._window = window

    async def _request(self, step, conversation_id, decision):
        return await self._counted(super()._request, step, conversation_id, decision)

    async def _send(self, step, contact, decision):
        return await self._counted(super()._send, step, contact, decision)

    async def _counted(self, request, *arguments):
        taken, reading = self._window.request(self._now())
        if not taken:
            reply = await self._refuse(arguments[0])
        else:
            reply = await request(*arguments)
        self.requests.clear()  # an hour of them would cost memory
        return replace(reply, reading=reading)

    async def _refuse(self, step):
        refusing = ScriptedPlatform(lambda _: throttled(1.0), self.latency)
        return await refusing._request(step, None, None)


class TimedSource:
    """Yields batches at their times, and goes on for ever if it is watched."""

    waits_for = ""
    lag = None

    def __init__(
        self, batches: Sequence[tuple[float, Sequence[Contact]]], *, watched: bool
    ) -> None:
        self._batches, self.watched = batches, watched

    async def batches(self, known):
        began = asyncio.get_running_loop().time()
        for moment, batch in self._batches:
            await asyncio.sleep(max(0.0, began + moment - asyncio.get_running_loop().time()))
            yield Batch(list(batch))
        if self.watched:
            await asyncio.Event().wait()


def people(count: int, first: int = 1) -> list[Contact]:
    """So many contacts, each with a person of its own."""
    return [Contact(f"k-{n}", f"conversation-{n}", "Hello") for n in range(first, first + count)]


def capture(
    name: str, source: TimedSource, seconds: float, *, quota: int = 300, answer=None,
    actions: Sequence[tuple[float, Callable[[EngineFixture], object]]] = (),
    gauge_seconds: float = FLUSH_SECONDS,
) -> Capture:  # fmt: skip
    """Run for so many virtual seconds and return what arrived; windows have 60 seconds."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(
            _run(name, source, seconds, quota=quota, answer=answer, actions=actions,
                 gauge_seconds=gauge_seconds)
        )  # fmt: skip


async def _run(name, source, seconds, *, quota, answer, actions, gauge_seconds) -> Capture:
    loop = asyncio.get_running_loop()
    found = Capture(name, seconds)
    sink = StatsdSink(AgentAddress(), campaign="play", dialect="messaging", monotonic=loop.time)
    client = sink._client
    client._writer._package.constant_tags.append(TAGS)
    client._delivery = recording = _Recording(client._writer, loop.time)
    client.start = lambda: None
    sink.begin("daemon")
    events = _sinks(sink, found, loop.time)
    engine = _engine(events, quota, answer)
    stream = engine.pipeline(
        source=source, once=False, workers=WORKERS, gauge_seconds=gauge_seconds
    )
    flushing = asyncio.create_task(_flush(client, gauge_seconds))
    running = asyncio.create_task(stream.run())
    for moment, action in sorted(actions, key=lambda pair: pair[0]):
        await asyncio.sleep(moment - loop.time())
        done = action(engine)
        if asyncio.iscoroutine(done):
            await done
    await asyncio.sleep(seconds - loop.time())
    stream.stop()
    await running
    flushing.cancel()
    found.datagrams = [pair for pair in recording.datagrams if pair[0] <= seconds]
    return found


def _sinks(statsd: StatsdSink, found: Capture, now: Callable[[], float]) -> Fanout:
    """The sinks of a run, with a list in the place of the log."""
    platform = PlatformTracker(now)
    judged = Fanout([statsd, _Verdicts(found, now)])
    tracker = ConditionTracker(platform, judged, TrackerOptions(), monotonic=now, epoch=now)
    return Fanout([platform, tracker, statsd])


def _engine(events: Fanout, quota: int, answer) -> EngineFixture:
    platform = WindowedPlatform(FixedWindow(quota, 60.0, 7.0), answer)
    engine = EngineFixture(platform=platform, events=events, ledger=_RoomyLedger())
    engine.pacer = QuotaPacer(quota, 60.0, engine.clock)
    engine.pool = engine.make_pool(engine.connections())
    return engine


async def _flush(client, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        client._flush(0.0)
