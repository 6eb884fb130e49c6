"""How late the event loop is."""

import asyncio
import time

import pytest

from dispatcher.app.loop_lag import PERIOD_SECONDS, LoopLag
from tests.support.virtual import in_virtual_time


@in_virtual_time
async def test_the_longest_delay_since_the_last_question():
    """What blocks the loop makes its timer late; the next question begins again."""
    loop, lag = asyncio.get_running_loop(), LoopLag()
    assert lag.take() == 0.0
    lag.start()
    await asyncio.sleep(5 * PERIOD_SECONDS)
    assert lag.take() == pytest.approx(0.0, abs=1e-6)
    loop.now += 1.5  # a call that blocks for so long
    await asyncio.sleep(3 * PERIOD_SECONDS)
    assert lag.take() == pytest.approx(1.5, abs=PERIOD_SECONDS)
    assert lag.take() == 0.0
    lag.stop()


async def test_a_blocked_loop():
    """With the clock of the machine."""
    lag = LoopLag()
    lag.start()
    await asyncio.sleep(0)
    time.sleep(PERIOD_SECONDS + 0.1)  # noqa: ASYNC251 - the fault that is measured
    await asyncio.sleep(0.01)
    assert lag.take() >= 0.09
    lag.stop()
