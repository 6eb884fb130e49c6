"""Events of a scenario: when they happen."""

import asyncio

from dispatcher.sandbox.scenario.events import EventSchedule
from dispatcher.sandbox.scenario.model import Event


async def test_events_come_at_their_time_and_after_so_many_effects():
    happened = []
    events = [
        Event("down", at_seconds=0.01),
        Event("grant", after_effects=5, delay_seconds=0.02),
        Event("revoke", after_effects=5),
        Event("expire_tokens", after_effects=2),
    ]
    timeline = EventSchedule(events, lambda event: happened.append(event.action))
    for count in range(1, 6):
        timeline.on_effect(count)
    assert happened == ["expire_tokens", "revoke"]
    timeline.start()
    await asyncio.sleep(0.05)
    assert happened == ["expire_tokens", "revoke", "down", "grant"]


async def test_a_stopped_timeline_does_nothing_more():
    happened = []
    timeline = EventSchedule([Event("down", at_seconds=0.01)], happened.append)
    timeline.start()
    timeline.stop()
    await asyncio.sleep(0.03)
    assert happened == []
