"""Kills the pump of each kind of sink 20 times between each of its steps, and counts the rows.

    python -m tests.support.sinks_whole

The servers are real. It takes about a minute, and exits with 1 if a row is missing or there twice.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.contract.test_sink_contract import (
    KafkaCase,
    Log,
    ObjectCase,
    PostgresCase,
    SnowflakeCase,
    SqliteCase,
    pumped,
    row,
)
from tests.support.servers.kafka import kafka
from tests.support.servers.postgres import postgres
from tests.support.servers.s3 import s3
from tests.support.servers.snowflake import snowflake

KILLS = 20
STEPS = (
    "before the range is recorded",
    "before it goes out",
    "before its arrival is recorded",
    "after its arrival is recorded",
)
ROWS_PER_RANGE = 3


async def count(case: Any) -> dict[str, int]:
    """Kill the pump of a case, and let the next one end, for each kill; return what was counted."""
    log = Log([])
    kills = dict.fromkeys(STEPS, 0)
    for step, name in enumerate(STEPS, 1):
        for _ in range(KILLS):
            first = len(log.rows) + 1
            log.rows += [row(number) for number in range(first, first + ROWS_PER_RANGE)]
            log.calls, log.stop_at = 0, step
            await pumped(case, log, ROWS_PER_RANGE)
            kills[name] += log.calls == step
            log.stop_at = None
            await pumped(case, log, ROWS_PER_RANGE)
    found = case.keys()
    expected = sorted((one.contact_key, one.conversation_id) for one in log.rows)
    missing, twice = len(set(expected) - set(found)), len(found) - len(set(found))
    return kills | {"rows": len(expected), "missing": missing, "twice": twice}


@contextmanager
def cases() -> Iterator[dict[str, Any]]:
    """Start the servers, and have a case of each kind of sink."""
    with ExitStack() as stack:
        store = stack.enter_context(s3())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield {
            "sql, PostgreSQL": PostgresCase(stack.enter_context(postgres()).database()),
            "sql, SQLite": SqliteCase(folder),
            "objects, Parquet": ObjectCase(store.bucket(), "parquet"),
            "objects, JSON Lines": ObjectCase(store.bucket(), "jsonl"),
            "snowflake": SnowflakeCase(stack.enter_context(snowflake()).database()),
            "kafka": KafkaCase(stack.enter_context(kafka()).topic()),
        }


def main() -> int:
    """Print a line for each kind of sink; return 1 if one of them is wrong."""
    is_wrong = False
    with cases() as found:
        for name, case in found.items():
            counted = asyncio.run(count(case))
            sys.stdout.write(f"{name}: {counted}\n")
            sys.stdout.flush()
            is_wrong |= bool(counted["missing"] or counted["twice"])
            is_wrong |= any(counted[step] != KILLS for step in STEPS)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
