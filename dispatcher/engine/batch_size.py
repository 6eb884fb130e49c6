"""How many states are read in one request at most."""

from collections.abc import Callable

from dispatcher.engine.requester import STALE_STATE_SECONDS
from dispatcher.ports import MAX_STATES_PER_CALL, StatesPerCall

FRESH_SECONDS = STALE_STATE_SECONDS / 2
"""How long the sends of one batch may take. Other requests may come before them for as long."""


def batch_size(setting: StatesPerCall, request_rate: Callable[[], float]) -> Callable[[], int]:
    """Return what says how many states one request may read now.

    A number is used as it is. "auto" is the number of sends that the quota permits before the
    states are too old; ``request_rate`` returns the requests per second at present. No more
    contacts than workers can wait together, so their number needs no bound here.
    """
    if setting != "auto":
        return lambda: setting
    return lambda: max(1, min(MAX_STATES_PER_CALL, int(request_rate() * FRESH_SECONDS)))
