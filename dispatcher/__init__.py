"""Writes once to every person whose web-messaging session ended, at the platform's pace.

``from dispatcher import Dispatcher`` is the Python API; docs/python.md describes it.
"""

__version__ = "0.1.0"

API = (
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
)
"""The names of the Python API, imported when they are used; their types are in the stub."""

__all__ = [  # noqa: PLE0604 - they are imported by `__getattr__`
    "__version__",
    *API,
]


def __getattr__(name: str) -> object:
    """Import a name of the Python API at its first use: commands do without it."""
    if name not in API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module("dispatcher.api"), name)


def __dir__() -> list[str]:
    """Return the names of the module, also those that were not imported yet."""
    return sorted({*globals(), *API})
