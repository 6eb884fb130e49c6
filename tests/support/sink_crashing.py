"""Forks `dispatcher lineage export --to SINK`, each in a process that kills itself at a step."""

import os
import sys
from typing import Any

from dispatcher.cli import main
from tests.support.crash_server import serve
from tests.support.sink_builds import BROKEN
from tests.support.sink_steps import StepKiller, install

MODULES = (
    "aiokafka.admin",
    "dispatcher.cli.commands.lineage",
    "obstore",
    "opentelemetry.trace.propagation.tracecontext",
    "psycopg",
    "pyarrow.parquet",
    "snowflake.connector.file_transfer_agent",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)
"""What the command and the targets import when they are used."""


def start(request: dict[str, Any]) -> None:
    """Run the command of a request, as it is or broken, until the step or its end."""
    os.environ.update(request["environment"])
    if request["broken"]:
        BROKEN[request["broken"]]()
    kind = request["kind"]
    install(kind, StepKiller(kind, request["step"], request["nth"], request["seed"]))
    sys.argv = ["dispatcher", *request["argv"]]
    main()


if __name__ == "__main__":
    serve(start, MODULES)
