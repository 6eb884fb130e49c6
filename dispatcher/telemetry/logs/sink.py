"""Events as log lines; their names are listed in `dispatcher.telemetry.logs.setup`."""

import logging
from collections.abc import Mapping

import structlog

from dispatcher.domain.events import (
    AddressesDiffer,
    Answered,
    ClosedConflict,
    ConditionJudged,
    Deferred,
    Gauges,
    Halted,
    InDoubt,
    Probed,
    Resumed,
    RetryLoop,
    RowsRead,
    ScopeError,
    Settled,
    Throttled,
)
from dispatcher.domain.status import HaltReason, Irregularity
from dispatcher.telemetry.condition.as_json import condition_json, log_level
from dispatcher.telemetry.fanout import HandlerSink
from dispatcher.telemetry.logs.format import words
from dispatcher.telemetry.logs.rejected_rows import RejectedRowLog
from dispatcher.telemetry.logs.settled_line import EVENT, settled_fields, write_settled
from dispatcher.telemetry.logs.setup import info_lines

MOST_DETAIL = 800
"""Characters of a halt's detail, which names what is missing and where to grant it."""


class LogSink(HandlerSink):
    """Writes a line for every event but `StateAged` and `UncheckedSend`: metrics show these.

    Every line has ``fields``.
    """

    def __init__(self, *, campaign: str, fields: Mapping[str, str] | None = None) -> None:
        self._log = structlog.get_logger("dispatcher").bind(campaign=campaign, **(fields or {}))
        self._rejected_rows = RejectedRowLog(self._log)
        self._irregular: set[Irregularity] = set()
        self._logs_debug = self._log.is_enabled_for(logging.DEBUG)
        lines = None if fields else info_lines()
        self.handlers = {
            RowsRead: self._rows_read,
            Answered: self._answered,
            Settled: self._settled
            if lines is None
            else write_settled(campaign, lines.put, lines.service),
            Deferred: self._deferred,
            ScopeError: self._scope_error,
            ClosedConflict: self._closed_conflict,
            RetryLoop: self._retry_loop,
            AddressesDiffer: self._addresses_differ,
            InDoubt: self._in_doubt,
            Throttled: self._throttled,
            Halted: self._halted,
            Resumed: self._resumed,
            Probed: self._probed,
            Gauges: self._gauges,
            ConditionJudged: self._condition,
        }

    def _rows_read(self, event: RowsRead) -> None:
        self._log.debug(
            "source.batch",
            rows=event.rows,
            admitted=event.admitted,
            duplicates=event.duplicates,
            rejected=event.rejected,
            filtered=event.filtered,
        )
        if event.bad_rows or event.file_done is not None:
            self._rejected_rows.rows_read(event)
        if event.empty_file is not None:
            self._log.warning("file.empty", file=event.empty_file)
        for kind, number in event.irregularities.items():
            log = self._log.debug if kind in self._irregular else self._log.warning
            log("source.irregular", kind=kind, number=number)
            self._irregular.add(kind)

    def _answered(self, event: Answered) -> None:
        if not event.failed and not self._logs_debug:
            return
        quoted = {"words": words(event.words)} if event.words else {}
        log = self._log.warning if event.failed else self._log.debug
        log(
            "request.failed" if event.failed else "request.answered",
            contact_key=event.contact_key,
            step=event.step,
            status=event.status,
            seconds=round(event.seconds, 4),
            conversation_id=event.conversation_id,
            correlation_id=event.correlation_id,
            **quoted,
            **_client(event.client),
        )

    def _settled(self, event: Settled) -> None:
        self._log.info(EVENT, **settled_fields(event))

    def _deferred(self, event: Deferred) -> None:
        self._log.info(
            "contact.deferred",
            contact_key=event.contact_key,
            reason=event.reason,
            due_in_seconds=round(event.seconds, 3),
            conversation_id=event.conversation_id,
        )

    def _scope_error(self, event: ScopeError) -> None:
        self._log.error(
            "scope.error",
            source=event.source,
            step=event.step,
            missing=list(event.missing),
            contact_key=event.contact_key,
            correlation_id=event.correlation_id,
            **_client(event.client),
        )

    def _closed_conflict(self, event: ClosedConflict) -> None:
        self._log.warning(
            "session.conflict",
            contact_key=event.contact_key,
            step=event.step,
            status=event.status,
            correlation_id=event.correlation_id,
            **_client(event.client),
        )

    def _retry_loop(self, event: RetryLoop) -> None:
        self._log.warning("retry.loop", contact_key=event.contact_key, step=event.step)

    def _addresses_differ(self, event: AddressesDiffer) -> None:
        detail = "from now on every session's state is read before a conversation is opened"
        self._log.warning(
            "first_call.addresses_differ",
            contact_key=event.contact_key,
            conversation_id=event.conversation_id,
            detail=detail,
        )

    def _in_doubt(self, event: InDoubt) -> None:
        self._log.warning(
            "send.in_doubt",
            contact_key=event.contact_key,
            resolution=event.resolution,
            step=event.step,
            conversation_id=event.conversation_id,
            correlation_id=event.correlation_id,
        )

    def _throttled(self, event: Throttled) -> None:
        self._log.warning(
            "quota.throttled",
            step=event.step,
            seconds=round(event.seconds, 3),
            limit_key=event.limit_key,
            **_client(event.client),
        )

    def _halted(self, event: Halted) -> None:
        if event.reason is HaltReason.PAUSED:
            self._log.info("campaign.paused")
            return
        name = "client.halted" if event.client else "run.halted"
        detail = words(event.detail, MOST_DETAIL)
        self._log.error(name, reason=event.reason, detail=detail, **_client(event.client))

    def _resumed(self, event: Resumed) -> None:
        if event.reason is HaltReason.PAUSED:
            self._log.info("campaign.resumed", seconds=round(event.seconds, 3))
            return
        name, seconds = "client.resumed" if event.client else "run.resumed", round(event.seconds, 3)
        self._log.info(name, reason=event.reason, seconds=seconds, **_client(event.client))

    def _probed(self, event: Probed) -> None:
        name = "client.probe" if event.client else "run.probe"
        self._log.info(name, reason=event.reason, **_client(event.client))

    def _gauges(self, event: Gauges) -> None:
        self._log.debug(
            "run.gauges",
            in_flight=event.in_flight,
            backlog=event.backlog,
            oldest_due=round(event.oldest_due, 3),
            pace=round(event.pace, 3),
            quota_used=round(event.quota_used, 4),
        )

    def _condition(self, event: ConditionJudged) -> None:
        if event.changed_from is not None:
            values = condition_json(event.condition, event.runbook)
            level = log_level(event.condition.cause)
            self._log.log(level, "condition.changed", was=event.changed_from, **values)


def _client(alias: str) -> dict[str, str]:
    return {"client": alias} if alias else {}
