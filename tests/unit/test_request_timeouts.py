"""The time limits of requests, with one timer for all."""

import asyncio

from dispatcher.platforms.request_timeouts import RequestTimeouts
from tests.support.virtual import in_virtual_time


class Request:
    """A request that notes when it failed, and with what."""

    def __init__(self):
        self.failed = []

    def fail(self, error):
        self.failed.append((asyncio.get_running_loop().time(), type(error)))


def timeouts_and(number):
    return RequestTimeouts(), [Request() for _ in range(number)], asyncio.get_running_loop().time()


@in_virtual_time
async def test_each_request_fails_at_its_own_time():
    timeouts, (first, second, third), now = timeouts_and(3)
    timeouts.start(second, now + 2.0)
    timeouts.start(third, now + 3.0)
    timeouts.start(first, now + 1.0)  # after later ones
    await asyncio.sleep(2.5)
    assert [round(at - now, 3) for at, _ in first.failed + second.failed] == [1.0, 2.0]
    assert third.failed == []
    await asyncio.sleep(1.0)
    assert [kind for _, kind in third.failed] == [TimeoutError]


@in_virtual_time
async def test_a_request_that_has_ended_does_not_fail():
    timeouts, (ended, other), now = timeouts_and(2)
    timeouts.start(ended, now + 1.0)
    timeouts.start(other, now + 2.0)
    timeouts.end(ended)
    timeouts.end(ended)  # once more does no harm
    await asyncio.sleep(3.0)
    assert ended.failed == []
    assert len(other.failed) == 1


@in_virtual_time
async def test_a_request_begun_after_the_timer_ran_has_a_timer_again():
    timeouts, (first, second), now = timeouts_and(2)
    timeouts.start(first, now + 1.0)
    await asyncio.sleep(5.0)
    timeouts.start(second, now + 6.0)
    await asyncio.sleep(2.0)
    assert (len(first.failed), len(second.failed)) == (1, 1)


@in_virtual_time
async def test_after_the_close_nothing_fails():
    timeouts, (request,), now = timeouts_and(1)
    timeouts.start(request, now + 1.0)
    timeouts.close()
    await asyncio.sleep(2.0)
    assert request.failed == []
