"""Structured logs: JSON lines, or lines for people at a terminal.

Event names are stable; ``docs`` and alerts may rely on them:

=====================  =======  ===========================================================
event                  level    says
=====================  =======  ===========================================================
``source.batch``       debug    a batch of the source was admitted
``request.answered``   debug    a request to the platform was answered as hoped
``request.failed``     warning  one was not: status, the platform's words, correlation id
``contact.settled``    info     a contact is final: status, reason, new conversation, message
``contact.deferred``   info     a contact is tried again later, and why
``scope.error``        error    the platform refuses for want of a scope or permission
``session.conflict``   warning  a send met a session in another state than the one read
``retry.loop``         warning  a contact was refused again and again, and parked
``send.in_doubt``      warning  a send has no answer, and what was made of it
``quota.throttled``    warning  the platform answered 429
``run.halted``         error    the whole run stands still, and why
``run.probe``          info     a halted run lets one probe through
``run.resumed``        info     the run goes on
``client.halted``      error    one OAuth client of several stands still, and why
``client.probe``       info     a halted client lets one probe through
``client.resumed``     info     that client goes on
``run.gauges``         debug    how the run stands
``run.started``        info     what was found in the ledger at the start
``authority``          info     what the token grants, what is required, what is missing and
                                where it is granted; a warning if something is
``run.draining``       info     the first signal came; what is in flight is settled
``run.stopped``        warning  the second one came
``statsd.undelivered`` warning  the agent did not take metrics
=====================  =======  ===========================================================

The campaign rules tell ``run.too_many_failures`` (error), ``suppression.read`` (info: how many
values) and ``suppression.kept_last`` (warning: the list cannot be read any more). Vault tells
``credentials.login_not_renewed`` (warning: the login to it may end).

At the start ``run.doubts_elsewhere`` (warning) tells of a campaign that is not part of the run, and
how many contacts in doubt it has: they hold up the same people's contacts.

Ids are in the log, so that a contact can be followed; message texts, addresses and secrets
are not. What the platform says is cut to 200 characters.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

import structlog

from dispatcher.telemetry.logs.format import order_fields, redact, render_json
from dispatcher.telemetry.logs.writer import LogWriter

Format = Literal["auto", "json", "console"]
"""``auto`` is ``console`` at a terminal and ``json`` everywhere else."""


_JSON = (redact, structlog.processors.format_exc_info, order_fields, render_json)


def configure(
    format: Format = "auto",  # noqa: A002 - the setting's word for it
    *,
    path: Path | None = None,
    stream: BinaryIO | None = None,
    level: str = "info",
) -> LogWriter:
    """Send all logs to ``path``, else to ``stream``, else to standard error.

    Logging waits for no disk and no pipe: lines are written from a thread, at the latest
    after 100 ms, from a warning on at once.

    Raises:
        ValueError: there is no such format or level.
        OSError: the file cannot be opened.

    """
    if format not in {"auto", "json", "console"}:
        raise ValueError(f"telemetry.log_format is {format!r}: it must be auto, json or console")
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"telemetry.log_level is {level!r}: it must be debug, info, warning or so")
    target = path or stream or sys.stderr.buffer
    terminal = not isinstance(target, Path) and target.isatty()
    pretty = format == "console" or (format == "auto" and terminal)
    lines = LogWriter(target)
    structlog.configure(
        processors=_console(colors=terminal) if pretty else _JSON,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        context_class=dict,
        logger_factory=lambda *_names: _Out(lines),
        cache_logger_on_first_use=False,
    )
    return lines


def _console(*, colors: bool) -> list[Callable[..., Any]]:
    return [
        redact,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colors,
            exception_formatter=structlog.dev.plain_traceback,  # a rich one shows local variables
        ),
        _encode,
    ]


def _encode(_logger: object, _method: str, line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace") + b"\n"


class _Out:
    """What structlog calls with a rendered line, by the name of its level."""

    def __init__(self, lines: LogWriter) -> None:
        self.debug = self.info = self.msg = lines.put
        self.warning = self.warn = self.error = lines.put_now
        self.critical = self.fatal = self.exception = lines.put_now
