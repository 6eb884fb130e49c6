"""Structured logs: JSON lines, or lines for people at a terminal.

Event names are stable; ``docs`` and alerts may rely on them:

=====================  =======  ===========================================================
event                  level    meaning
=====================  =======  ===========================================================
``source.batch``       debug    a batch of the source was admitted
``file.empty``         warning  a file or stream has no row at all
``row.rejected``       warning  a row is no valid contact: file, line, reason, detail; the first
                                three of a file and a reason
``rows.rejected``      warning  so many rows of a file have a reason: at 10, 100, 1,000 and so on
``file.bad_rows``      warning  a file was read: how many of its rows were rejected, by reason
``source.irregular``   warning  the first time that something of this kind was passed over or
                                read as empty in the input, and how often; later ones are debug
``request.answered``   debug    a request to the platform succeeded
``request.failed``     warning  it failed: status, the platform's words, correlation id
``contact.settled``    info     a contact is final: status, reason, new conversation, message
``contact.deferred``   info     a contact is tried again later, and why
``scope.error``        error    the platform refuses because a scope or permission is missing
``session.conflict``   warning  a send met a session in another state than the one read
``first_call.addresses_differ``  warning  rows' addresses are not the platform's
``retry.loop``         warning  a contact was refused again and again, and parked
``send.in_doubt``      warning  a send has no answer, and how that was resolved
``quota.throttled``    warning  the platform answered 429
``run.halted``         error    the whole run is halted, and why
``run.probe``          info     a halted run lets one probe through
``run.resumed``        info     the run goes on
``client.halted``      error    one OAuth client of several is halted, and why
``client.probe``       info     a halted client lets one probe through
``client.resumed``     info     that client goes on
``run.gauges``         debug    gauges of the run
``run.started``        info     the ledger's content at the start
``ledger.created``     info     there was no ledger: nobody counts as reached; and where it is
``ledger.adopted``     warning  the ledger is a copy that a person accepted, and what shows it
``authority``          info     what the token grants, what is required, what is missing and
                                where it is granted; a warning if something is
``run.draining``       info     the first signal came; what is in flight is settled
``run.stopped``        warning  the second signal came
``statsd.undelivered`` warning  the agent does not take metrics, which wait; once a minute
``statsd.delivered``   info     it takes them again, and how many were given up
``statsd.lost``        warning  the run ends, and so many metrics never reached the agent
``traces.undelivered`` warning  so many spans were dropped since the last such line, and why
=====================  =======  ===========================================================

The campaign rules log ``run.too_many_failures`` (error), ``suppression.read`` (info: how many
values), ``suppression.kept_last`` (error: the list is damaged), ``suppression.mended`` (info),
``suppression.unproved`` (error: the list does not look like one of these contacts) and
``quiet_hours.unknown_timezone`` (warning: once a value). Vault logs
``credentials.login_not_renewed`` (warning: the login to it may end).

At the start, ``run.doubts_elsewhere`` (warning) names a campaign that is not part of the run, and
how many contacts in doubt it has: they hold up the contacts of the same people.
``campaign.tag_shared`` (warning) names campaigns of the ledger whose names are one tag value.
A sink logs ``sink.failed`` (warning: why it takes nothing), ``sink.back`` (info),
``sink.unfinished`` (warning: the run ended, and so many rows or notices had not gone out) and
``sink.dropped`` (warning: too many notices waited).
``control.socket_moved`` (warning) says where the control socket is, and why, if none can be made
beside the ledger.

``reconcile.no_evidence`` (warning, once for each call) says that the platform refuses a call which
only shows how far its records reach.

The log contains ids, so that a contact can be followed, but no message texts, addresses and
secrets. The platform's words are cut to 200 characters.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import structlog

from dispatcher.telemetry.logs.format import FieldOrder, redact, render_json
from dispatcher.telemetry.logs.writer import LogWriter
from dispatcher.telemetry.service_tags import read_service_tags

LogFormat = Literal["auto", "json", "console"]
"""``auto`` is ``console`` at a terminal and ``json`` everywhere else."""


_JSON_HEAD: list[Callable[..., Any]] = [redact, structlog.processors.format_exc_info]


def configure(
    format: LogFormat = "auto",  # noqa: A002 - the setting's word for it
    *,
    path: Path | None = None,
    stream: BinaryIO | None = None,
    level: str = "info",
) -> LogWriter:
    """Send all logs to ``path``, else to ``stream``, else to standard error.

    Logging does not wait for a disk or a pipe: a thread writes the lines within 100 ms, warnings
    and errors at once.

    Raises:
        ValueError: the format or the level does not exist.
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
    writer = LogWriter(target)
    structlog.configure(
        processors=_console(colors=terminal) if pretty else _json(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        context_class=dict,
        logger_factory=lambda *_names: _LevelMethods(writer),
        cache_logger_on_first_use=False,
    )
    return writer


@dataclass(frozen=True, slots=True)
class JsonLines:
    """What takes a line of JSON at level info, and the fields of the service in each line."""

    put: Callable[[bytes], None]
    service: Mapping[str, str]


def info_lines() -> JsonLines | None:
    """Return what takes a line of JSON at level info; None if such lines are not wanted."""
    config = structlog.get_config()
    order = next((p for p in config["processors"] if isinstance(p, FieldOrder)), None)
    if order is None or not structlog.get_logger().bind().is_enabled_for(logging.INFO):
        return None
    logger: _LevelMethods = config["logger_factory"]()
    return JsonLines(logger.info, order.service)


def _json() -> list[Callable[..., Any]]:
    return [*_JSON_HEAD, FieldOrder(read_service_tags().unified()), render_json]


def _console(*, colors: bool) -> list[Callable[..., Any]]:
    return [
        redact,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colors,
            exception_formatter=structlog.dev.plain_traceback,  # a rich one shows local variables
        ),
        lambda _logger, _method, line: line.encode("utf-8", "backslashreplace") + b"\n",
    ]


class _LevelMethods:
    """The logger that structlog wraps: takes a rendered line in the method of its level."""

    def __init__(self, writer: LogWriter) -> None:
        self.debug = self.info = self.msg = writer.put
        self.warning = self.warn = self.error = writer.put_now
        self.critical = self.fatal = self.exception = writer.put_now
