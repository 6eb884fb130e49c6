"""The Python API: plan and dispatch rows that a program has, and read what a ledger has.

Import it with ``from dispatcher import Dispatcher``; docs/python.md describes it.
"""

from dispatcher.api.async_dispatcher import AsyncDispatcher
from dispatcher.api.dispatcher import Dispatcher
from dispatcher.api.options import Rows
from dispatcher.api.results import (
    DispatchInterrupted,
    DispatchResult,
    Ending,
    PlanResult,
    StatusResult,
    VerifyResult,
)
from dispatcher.domain.errors import DispatcherError

__all__ = [
    "AsyncDispatcher",
    "DispatchInterrupted",
    "DispatchResult",
    "Dispatcher",
    "DispatcherError",
    "Ending",
    "PlanResult",
    "Rows",
    "StatusResult",
    "VerifyResult",
]
