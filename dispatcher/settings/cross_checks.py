"""Checks that look at several settings together, or at the world around them."""

import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dispatcher.settings.campaigns import STDIN
from dispatcher.settings.field_types import is_loopback
from dispatcher.settings.key_paths import KeyPath
from dispatcher.settings.model import CAMPAIGN_SECTIONS, Column, Settings

_MEANINGS: tuple[str, ...] = get_args(Column)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: it is asked only when none of the keys that it needs is wrong in itself.

    ``test`` returns what is wrong and a hint, or None; the first key is the one that is named.
    """

    needs: tuple[str, ...]
    test: Callable[[Settings], tuple[str, str] | None]


def _backoff(s: Settings) -> tuple[str, str] | None:
    if s.retry.backoff_seconds <= s.retry.backoff_max_seconds:
        return None
    return f"must not be below backoff_seconds ({s.retry.backoff_seconds:g})", ""


def _stdin(s: Settings) -> tuple[str, str] | None:
    if s.source.watch and s.source.path == STDIN:
        return "cannot be true for standard input", "name a folder in source.path"
    return None


def _source(s: Settings) -> tuple[str, str] | None:
    path = s.source.path
    if path == STDIN or (any(sign in path for sign in "*?[") and not s.source.watch):
        return None
    here = Path(path)
    if s.source.watch and not here.is_dir():
        return f'must be a folder that exists, not "{path}"', "source.watch = true watches a folder"
    if not here.exists():
        return f'does not exist: "{path}"', f"paths count from {os.curdir}, where the command runs"
    if here.is_dir() and not s.source.watch:
        return f'is a folder: "{path}"', f'set source.watch = true, or write "{path}/*.csv"'
    return None


def _bundle(s: Settings) -> tuple[str, str] | None:
    path, hint = s.platform.ca_bundle, "a file of PEM certificates"
    if not path:
        return None
    if not Path(path).is_file():
        return f'is no file: "{path}"', hint
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        return f'holds no certificates that can be read: "{path}" ({reason})', hint
    return None


def _zone_column(s: Settings) -> tuple[str, str] | None:
    column, columns = s.rules.timezone_column, s.source.columns
    taken = {name for name in _MEANINGS if name not in columns} | set(columns.values())
    if column not in taken:
        return None
    return f'is a column with another meaning: "{column}"', "name one that only tells the zone"


def _suppression(s: Settings) -> tuple[str, str] | None:
    path, hint = s.rules.suppression_file, "a file with one value a line; empty for none"
    if not path:
        return None
    if not Path(path).is_file():
        return f'is no file: "{path}"', hint
    if not os.access(path, os.R_OK):
        return f'cannot be read: "{path}"', hint
    return None


def _log_file(s: Settings) -> tuple[str, str] | None:
    if not s.telemetry.log_file:
        return None
    return _writable(Path(s.telemetry.log_file))


def _ledger(s: Settings) -> tuple[str, str] | None:
    return _writable(s.ledger.path)


def _writable(path: Path) -> tuple[str, str] | None:
    if path.is_dir():
        return f'is a folder: "{path}"', "name a file; it is made when it is not there"
    if not path.parent.is_dir():
        return f'lies in a folder that does not exist: "{path.parent}"', "make the folder first"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f'cannot be written to: "{path}"', ""
    return None


TOGETHER = (
    Check(("retry.backoff_max_seconds", "retry.backoff_seconds"), _backoff),
    Check(("source.watch", "source.path"), _stdin),
    Check(("rules.timezone_column", "source.columns"), _zone_column),
)
"""What must fit together."""

WORLD = (
    Check(("source.path", "source.watch"), _source),
    Check(("platform.ca_bundle",), _bundle),
    Check(("rules.suppression_file",), _suppression),
    Check(("telemetry.log_file",), _log_file),
)
"""What a run needs to find."""

LEDGER = (Check(("ledger.path",), _ledger),)
"""What the ledger tells by itself once it is opened, told before."""


def apply(
    checks: tuple[Check, ...],
    settings: Settings,
    wrong: frozenset[str],
    views: Sequence[tuple[str, Settings]],
) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the key, the problem and the hint of each rule that is broken.

    ``views`` are the settings as each campaign has them, with what stands in front of its keys;
    a rule about what each has of its own is asked for each.
    """
    for check in checks:
        own = check.needs[0].split(".")[0] in CAMPAIGN_SECTIONS
        for front, view in views if own else [("", settings)]:
            needs = [front + key for key in check.needs]
            answer = None if wrong.intersection(needs) else check.test(view)
            if answer is not None:
                yield tuple(needs[0].split(".")), *answer


def warnings(settings: Settings) -> list[str]:
    """Return what is allowed, but perhaps not meant."""
    found = []
    for campaign in settings.campaigns:
        if not campaign.message.text:
            which = f"campaign {campaign.name}: " if len(settings.campaigns) > 1 else ""
            found.append(f"{which}message.text is empty: every row must bring a text of its own")
    if settings.engine.sharing == "fair" and any(each.priority for each in settings.campaigns):
        found.append('engine.sharing is "fair": priorities count for nothing')
    if settings.telemetry.health_port and not is_loopback(settings.telemetry.health_host):
        found.append(
            "telemetry.health_host is not loopback: whoever reaches the port can read the status"
        )
    if settings.rules.timezone_column and not settings.rules.quiet_hours:
        found.append("rules.timezone_column has no effect: rules.quiet_hours is empty")
    if settings.platform.states_per_call > settings.engine.workers:
        found.append(
            "platform.states_per_call is more than engine.workers: no more contacts than those "
            "wait together"
        )
    if settings.retry.not_ended_max_minutes * 60 < settings.retry.not_ended_seconds:
        found.append("retry.not_ended_max_minutes ends before not_ended_seconds: no second try")
    if settings.retry.engaged_max_minutes * 60 < settings.retry.engaged_seconds:
        found.append("retry.engaged_max_minutes ends before engaged_seconds: no second try")
    return found
