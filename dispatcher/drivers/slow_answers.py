"""Shows for people that a server has not answered for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Timer

SLOW_SECONDS = 15.0
"""After so long it is shown that an answer has not come."""
SLOW = "has not answered yet: it executes a long statement, or is away"


@contextmanager
def shown_if_slow(show: Callable[[str], None]) -> Iterator[None]:
    """Give ``show`` a text if the block takes long, and an empty one when it ends then.

    The text comes from another thread.
    """
    is_shown = Event()

    def late() -> None:
        is_shown.set()
        show(SLOW)

    timer = Timer(SLOW_SECONDS, late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if is_shown.is_set():
            show("")
