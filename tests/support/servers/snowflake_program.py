"""Runs fakesnow's server on a port of loopback.

Two faults of fakesnow 0.12 are put right: COPY INTO does not find a temporary table, and MERGE in a
transaction fails, because it writes the comment of a table into another database. Sessions of dead
clients can be ended, as Snowflake ends them.
"""

import contextlib
import sys
from typing import Any

import uvicorn
from fakesnow import copy_into, info_schema
from fakesnow.server import app, sessions
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def describe_table(table: Any, connection: Any, *place: str | None) -> list[tuple[str, str]]:
    """Return the names and types of a table's columns, of a temporary table first."""
    find = "SELECT count(*) FROM duckdb_tables() WHERE temporary AND table_name = ?"
    is_temporary = connection.execute(find, [table.name]).fetchone()[0]
    database, schema = place
    name = table.name if is_temporary else f"{database}.{schema}.{table.name}"
    rows = connection.execute(f"DESCRIBE {name}").fetchall()
    return [(row[0], row[1]) for row in rows]


async def end_sessions(_request: Request) -> Response:
    """Roll back what each session has begun, and forget it."""
    for connection in sessions.values():
        with contextlib.suppress(Exception):
            connection.rollback()
    sessions.clear()
    return Response()


copy_into._describe_table = describe_table
info_schema.insert_table_comment_sql = lambda *_: "SELECT 1"
app.router.routes.append(Route("/test/end-sessions", end_sessions, methods=["POST"]))

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
