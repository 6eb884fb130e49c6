"""The log of a dispatch in a process that is not the dispatcher's own."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import structlog

from dispatcher.settings import Settings

_lock = threading.Lock()
_open: list[dict[str, object] | None] = []
"""For each dispatch under way, what structlog was configured with before the first of them."""


@contextmanager
def own_logs() -> Iterator[None]:
    """Give structlog back to the program when the last of its dispatches has ended."""
    with _lock:
        before = _open[0] if _open else _configuration()
        _open.append(before)
    try:
        yield
    finally:
        with _lock:
            _open.pop()
            if not _open:
                _restore(before)


def _configuration() -> dict[str, object] | None:
    return dict(structlog.get_config()) if structlog.is_configured() else None


def _restore(before: dict[str, object] | None) -> None:
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)  # type: ignore[arg-type]  # as `get_config` returned it


def quieter(settings: Settings) -> Settings:
    """Log errors only and for people, unless a level, a format or a log file was set.

    What the other lines say is in the result, the ledger and the metrics.
    """
    telemetry = settings.telemetry
    keys = ("log_level", "log_format", "log_file")
    if any(settings.origin(f"telemetry.{key}") is not None for key in keys):
        return settings
    quiet = telemetry.model_copy(update={"log_level": "error", "log_format": "console"})
    return settings.model_copy(update={"telemetry": quiet})


class LogText(io.RawIOBase):
    """A binary stream whose lines go to what standard error is then, also in a notebook."""

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True if standard error is a terminal."""
        return bool(sys.stderr is not None and sys.stderr.isatty())

    def write(self, data: object) -> int:
        """Write whole lines."""
        raw = bytes(cast("bytes", data))
        if sys.stderr is not None:
            sys.stderr.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)
