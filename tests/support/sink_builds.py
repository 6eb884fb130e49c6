"""Builds of the sinks that break the promise on purpose: kills must find each of them."""

import secrets
from collections.abc import Callable
from typing import Any

from dispatcher.drivers.snowflake.session import SnowflakeSession
from dispatcher.ports.sink import LineageRange, Part
from dispatcher.sinks.object_target import ObjectTarget
from dispatcher.sinks.ranges import RangeSender
from dispatcher.sinks.sql_target import SqlTarget
from tests.support.ledgers import LINEAGE_LOG


def _arrival_first() -> None:
    """The arrival of a range is recorded before it goes out."""
    real = RangeSender._write

    async def write(self: RangeSender, lineage: LineageRange) -> None:
        await self._log.end_range(self.name, lineage.part, lineage.last)
        await real(self, lineage)

    RangeSender._write = write  # type: ignore[method-assign]


def _range_not_recorded() -> None:
    """The end of a range is not recorded, so that new rows are in it when it goes out again."""

    async def begin_range(self: Any, sink: str, part: Part, last: str) -> None:
        pass

    LINEAGE_LOG.begin_range = begin_range  # type: ignore[method-assign]


def _cursor_first() -> None:
    """The cursor in the database is committed before the rows."""

    def write(self: SqlTarget, lineage: LineageRange) -> None:
        self._create_tables()
        with self._engine.begin() as connection:
            is_new = self._move_cursor(connection, lineage)
        if is_new and lineage.rows:
            with self._engine.begin() as connection:
                self._upsert(connection, lineage)

    SqlTarget._write = write  # type: ignore[method-assign]


def _no_transaction() -> None:
    """Each statement in Snowflake is committed by itself."""
    real = SnowflakeSession.execute

    def execute(self: SnowflakeSession, statement: str, *values: Any, **options: Any) -> Any:
        ends = statement in ("BEGIN", "COMMIT")
        return None if ends else real(self, statement, *values, **options)

    SnowflakeSession.execute = execute  # type: ignore[method-assign]


def _new_name() -> None:
    """An object has a new name each time that it is put."""
    real = ObjectTarget.key

    def key(self: ObjectTarget, lineage: LineageRange) -> str:
        return f"{secrets.token_hex(4)}-{real(self, lineage)}"

    ObjectTarget.key = key  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[], None]] = {
    "arrival-first": _arrival_first,
    "range-not-recorded": _range_not_recorded,
    "cursor-first": _cursor_first,
    "no-transaction": _no_transaction,
    "new-name": _new_name,
}
"""Each broken build by its name."""
