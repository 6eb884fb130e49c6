"""From the reading thread to the event loop."""

import asyncio
import threading

import pytest

from dispatcher.ports import Batch, SourceError
from dispatcher.sources.thread_bridge import AHEAD, ReaderClosedError, iterate_in_thread


async def test_the_thread_is_a_few_batches_ahead_at_most():
    """A consumer that is slow holds the reader back; nothing piles up."""
    made = []
    full = threading.Event()

    def work(outlet):
        for number in range(20):
            made.append(number)
            if len(made) > AHEAD:
                full.set()
            outlet.put(Batch((), filtered=number))

    batches = iterate_in_thread(work, {})
    taken = [(await anext(batches)).filtered]
    assert await asyncio.to_thread(full.wait, 5)
    assert len(made) <= AHEAD + 2
    taken += [batch.filtered async for batch in batches]
    assert taken == list(range(20))


@pytest.mark.parametrize("error", [SourceError("gone"), ZeroDivisionError("a bug")])
async def test_an_error_comes_behind_the_batches(error):
    """What was read before goes out first; then the error, whatever it is, is raised."""

    def work(outlet):
        outlet.put(Batch((), filtered=1))
        raise error

    batches = iterate_in_thread(work, {})
    assert (await anext(batches)).filtered == 1
    with pytest.raises(type(error)):
        await anext(batches)


@pytest.mark.parametrize("act", ["put", "wait", "check"])
async def test_closing_ends_the_thread_wherever_it_is(act):
    """A reader that is full, asleep or busy is stopped."""
    stopped = threading.Event()

    def work(outlet):
        outlet.put(Batch(()))
        try:
            while True:
                if act == "put":
                    outlet.put(Batch(()))
                elif act == "wait":
                    outlet.wait(60)
                else:
                    outlet.check()
        except ReaderClosedError:
            stopped.set()
            raise

    batches = iterate_in_thread(work, {})
    await anext(batches)
    await batches.aclose()
    assert await asyncio.to_thread(stopped.wait, 5)


def test_a_loop_that_is_gone_ends_the_thread():
    """A batch for a closed event loop is no error, and ends the reading."""
    stopped = threading.Event()
    go_on = threading.Event()

    def work(outlet):
        outlet.put(Batch(()))
        go_on.wait(5)
        try:
            outlet.put(Batch(()))
        except ReaderClosedError:
            stopped.set()
            raise

    loop = asyncio.new_event_loop()
    batches = iterate_in_thread(work, {})
    loop.run_until_complete(anext(batches))
    loop.close()
    go_on.set()
    assert stopped.wait(5)
    with pytest.raises(StopIteration):
        batches.aclose().send(None)
