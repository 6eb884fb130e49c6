"""Checks of ``[retry]``: bounds that depend on each other."""

from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings


def _backoff(s: Settings) -> Finding | None:
    if s.retry.backoff_seconds <= s.retry.backoff_max_seconds:
        return None
    return f"must not be below backoff_seconds ({s.retry.backoff_seconds:g})", ""


RETRY = (Check(("retry.backoff_max_seconds", "retry.backoff_seconds"), _backoff),)
"""Settings of retries that depend on each other."""
