"""A session of Snowflake: it logs in when it is used, and again after it was lost."""

import logging
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, TypeVar

from dispatcher.drivers.slow_answers import shown_if_slow
from dispatcher.drivers.snowflake.errors import SnowflakeError, describe, describe_key
from dispatcher.drivers.snowflake.login import SnowflakeLogin

T = TypeVar("T")

_GRACE_SECONDS = 60
"""How much later than Snowflake itself the connector gives a statement up."""


class SnowflakeSession:
    """Executes statements, one thread at a time. `close` it.

    If Snowflake was away, the session ends, and the next statement logs in again. ``on_slow`` gets
    a text for people when an answer takes long, and an empty one when it is there.

    Raises:
        SnowflakeError: a package is not installed.

    """

    def __init__(self, login: SnowflakeLogin) -> None:
        for package in ("snowflake", "pyarrow"):
            if find_spec(package) is None or (
                package == "snowflake" and find_spec("snowflake.connector") is None
            ):
                raise SnowflakeError(
                    "Snowflake needs the packages snowflake-connector-python and pyarrow: "
                    "pip install 'dispatcher[snowflake]'"
                )
        self.login = login
        self.on_slow: Callable[[str], None] = _ignore
        self._connection: Any = None

    def execute(self, statement: str, *parameters: object, **options: Any) -> Any:
        """Execute a statement, and return the connector's cursor.

        ``parameters`` are for its question marks, ``options`` are the connector's own.

        Raises:
            SnowflakeError: it is refused, or Snowflake is away.

        """
        seconds = int(self.login.timeout_seconds) + _GRACE_SECONDS
        values = parameters or None
        return self.call(
            lambda: self._open().cursor().execute(statement, values, timeout=seconds, **options)
        )

    def columns(self, statement: str) -> tuple[str, ...]:
        """Return the names of the columns of a statement, which is not executed.

        Raises:
            SnowflakeError: as `execute`.

        """
        described = self.call(lambda: self._open().cursor().describe(statement))
        return tuple(column.name for column in described)

    def call(self, work: Callable[[], T]) -> T:
        """Return what some work with the connector returns.

        Raises:
            SnowflakeError: as `execute`.

        """
        from snowflake.connector import errors  # noqa: PLC0415 - an optional extra

        try:
            with shown_if_slow(self.on_slow):
                return work()
        except errors.Error as error:
            found = describe(error)
        if self._connection is not None and found.is_away:
            self.close()
        raise SnowflakeError(
            self.login.hidden(str(found)), is_away=found.is_away, code=found.code
        ) from None

    def roll_back(self) -> None:
        """Roll back what was not committed; if that fails, the session ends."""
        if self._connection is not None:
            with suppress(SnowflakeError):
                self.execute("ROLLBACK")

    def close(self) -> None:
        """End the session, and what was not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be the server that is away
                connection.close(retry=False)

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = self._log_in()
        return self._connection

    def _log_in(self) -> Any:
        """Log in. The connector's own log is off: it has statements and signed addresses."""
        for name in ("snowflake", "botocore", "boto3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        from snowflake import connector  # noqa: PLC0415 - an optional extra

        try:
            return connector.connect(**self.login.arguments())
        except (FileNotFoundError, PermissionError, TypeError, ValueError) as error:
            raise describe_key(error) from None


def _ignore(_reason: str) -> None:
    """Do nothing with the reason of a slow answer."""
