"""The steps at which an export to a sink can be killed, each reached from outside of the product.

The functions of the product and of the drivers are wrapped. ``X.during`` is a moment of chance
while the request X is under way.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from random import Random
from typing import Any

from dispatcher.drivers.snowflake.session import SnowflakeSession
from dispatcher.sinks.kafka_target import KafkaTarget
from tests.support.ledgers import LINEAGE_LOG

DURING_SECONDS = 0.004
"""The longest time from the begin of a request to a kill during it."""

LEDGER = {
    "record.before": "the range is read, and its end is not recorded",
    "record.after": "the end of the range is recorded, nothing has gone out",
    "arrival.before": "the target has the range, and its arrival is not recorded",
    "arrival.after": "the arrival is recorded, the next range is not read",
}
SQL = {
    "cursor.before": "the transaction has begun, the cursor was not moved",
    "cursor.after": "the cursor is moved, no row is written",
    "rows.after": "the rows are written, nothing is committed",
    "commit.during": "the commit is under way",
    "commit.after": "rows and cursor are committed, the sink does not know it",
}
SNOWFLAKE = {
    "create.before": "the session has begun, the tables are perhaps not there",
    "add-cursor.before": "the tables are there, the row of the cursor perhaps not",
    "read-cursor.before": "the row of the cursor is there",
    "stage.before": "the cursor is read, there is no temporary table",
    "put.before": "the temporary table is there, its stage is empty",
    "put.during": "the file is on its way to the stage",
    "put.after": "the file is in the stage",
    "begin.before": "no transaction has begun",
    "move.before": "the transaction has begun, the cursor was not moved",
    "copy.before": "the cursor is moved, no row is copied",
    "copy.after": "the rows are in the temporary table",
    "count.before": "the rows are in the temporary table, and are to be counted",
    "merge.before": "the rows are counted, and not merged",
    "merge.after": "the rows are merged, nothing is committed",
    "commit.before": "the commit is about to leave",
    "commit.during": "the commit is under way",
    "commit.after": "rows and cursor are committed, the sink does not know it",
}
OBJECTS = {
    "put.before": "the object is made, the request has not left",
    "put.during": "the object is on its way",
    "put.after": "the object is there, the sink does not know it",
}
KAFKA = {
    "first.after": "the producer has the first message of a range",
    "confirm.before": "the producer has all messages of a range",
    "confirm.during": "messages are on their way",
    "confirm.after": "the broker has acknowledged all of them, the sink does not know it",
}
STEPS = {
    kind: {**LEDGER, **steps}
    for kind, steps in (
        ("sql", SQL), ("snowflake", SNOWFLAKE), ("objects", OBJECTS), ("kafka", KAFKA),
    )
}  # fmt: skip
"""The steps of each kind of sink by their names, and what is true when one is reached."""

_STATEMENTS = {
    "CREATE TABLE": "create",
    "MERGE INTO dispatcher_sink": "add-cursor",
    "SELECT place": "read-cursor",
    "CREATE OR REPLACE TEMPORARY": "stage",
    "PUT": "put",
    "BEGIN": "begin",
    "UPDATE dispatcher_sink": "move",
    "COPY INTO": "copy",
    "SELECT count(*) FROM dispatcher_staging": "count",
    "MERGE INTO dispatcher_lineage": "merge",
    "COMMIT": "commit",
}
"""The statements in Snowflake, by their first words."""


class StepKiller:
    """Ends the process with SIGKILL: the ``nth`` time that a step is reached."""

    def __init__(self, kind: str, step: str, nth: int, seed: int) -> None:
        if step and step not in STEPS[kind]:
            raise SystemExit(f"no such step: {step}; there are {', '.join(STEPS[kind])}")
        self._step = step
        self._left = nth
        self._dice = Random(seed)

    def reached(self, step: str) -> None:
        """Die, if this is the step and its time has come."""
        if self._is_time(step):
            self._die()

    @contextmanager
    def around(self, request: str) -> Iterator[None]:
        """Reach the steps before, during and after a request; it may be over at its ``during``."""
        self.reached(f"{request}.before")
        if self._is_time(f"{request}.during"):
            seconds = self._dice.uniform(0, DURING_SECONDS)
            threading.Timer(seconds, self._die).start()
            try:
                yield
            finally:
                time.sleep(60)
        yield
        self.reached(f"{request}.after")

    def _is_time(self, step: str) -> bool:
        self._left -= step == self._step
        return step == self._step and self._left <= 0

    def _die(self) -> None:
        os.write(2, f"killed at {self._step}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def install(kind: str, killer: StepKiller) -> None:
    """Wrap what a sink of this kind uses."""
    _wrap_coroutine(LINEAGE_LOG, "begin_range", killer, "record")
    _wrap_coroutine(LINEAGE_LOG, "end_range", killer, "arrival")
    wraps_of = {
        "sql": _wrap_sql,
        "snowflake": _wrap_snowflake,
        "objects": _wrap_objects,
        "kafka": _wrap_kafka,
    }
    wraps_of[kind](killer)


def _wrap_coroutine(owner: Any, name: str, killer: StepKiller, request: str) -> None:
    real = getattr(owner, name)

    @wraps(real)
    async def called(*args: Any, **named: Any) -> Any:
        with killer.around(request):
            return await real(*args, **named)

    setattr(owner, name, called)


def _wrap_sql(killer: StepKiller) -> None:
    """A commit counts if it has rows: others create the tables."""
    from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415 - slow to import

    has_rows = threading.local()

    def wrap_execute(name: str) -> None:
        real = getattr(DefaultDialect, name)

        def executed(self: Any, cursor: Any, statement: str, *args: Any) -> Any:
            if statement.startswith("UPDATE dispatcher_sink"):
                with killer.around("cursor"):
                    return real(self, cursor, statement, *args)
            done = real(self, cursor, statement, *args)
            if statement.startswith("INSERT INTO dispatcher_lineage"):
                has_rows.yes = True
                killer.reached("rows.after")
            return done

        setattr(DefaultDialect, name, executed)

    commit = DefaultDialect.do_commit

    def committed(self: Any, connection: Any) -> None:
        if not getattr(has_rows, "yes", False):
            commit(self, connection)
            return
        with killer.around("commit"):
            commit(self, connection)
        has_rows.yes = False

    wrap_execute("do_execute")
    wrap_execute("do_executemany")
    DefaultDialect.do_commit = committed  # type: ignore[method-assign]


def _wrap_snowflake(killer: StepKiller) -> None:
    real = SnowflakeSession.execute

    def executed(self: SnowflakeSession, statement: str, *values: Any, **options: Any) -> Any:
        if statement == "ROLLBACK":
            return real(self, statement, *values, **options)
        (name,) = (name for words, name in _STATEMENTS.items() if statement.startswith(words))
        with killer.around(name):
            return real(self, statement, *values, **options)

    SnowflakeSession.execute = executed  # type: ignore[method-assign]


def _wrap_objects(killer: StepKiller) -> None:
    import obstore  # noqa: PLC0415 - slow to import

    _wrap_coroutine(obstore, "put_async", killer, "put")


def _wrap_kafka(killer: StepKiller) -> None:
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - slow to import

    send, confirm, sent = AIOKafkaProducer.send, KafkaTarget._confirm, 0

    async def sending(self: AIOKafkaProducer, *args: Any, **named: Any) -> Any:
        nonlocal sent
        future = await send(self, *args, **named)
        sent += 1
        if sent == 1:
            killer.reached("first.after")
        return future

    async def confirming(self: KafkaTarget, messages: Any) -> None:
        nonlocal sent
        sent = 0
        with killer.around("confirm"):
            await confirm(self, messages)

    AIOKafkaProducer.send = sending
    KafkaTarget._confirm = confirming  # type: ignore[method-assign]
