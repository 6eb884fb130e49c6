"""What an error of a database means: away for now, or for a person to mend."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from dispatcher.drivers.database import first_line
from dispatcher.drivers.slow_answers import shown_if_slow
from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait

T = TypeVar("T")

_AWAY_STATES = ("08", "40", "53", "55006", "55P03", "57", "58", "72", "HYT", "XX")
"""SQLSTATEs, or their classes, of what ends by itself: the connection, locks, load, a shutdown."""
_NO_STATES = ("", "HY000")
"""SQLSTATEs that mean nothing."""
_AWAY_SQLITE = (5, 6, 10)
"""Result codes of SQLite: busy, locked, an error of reading."""
_AWAY_MYSQL = frozenset(
    (1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 3024)
) | frozenset(range(2000, 2060))
"""Numbers of errors of MySQL and MariaDB: load, locks, a shutdown; from 2000 on the connection."""
_WORDS = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "denied",
    "login failed",
    "does not exist",
    "unknown database",
    "invalid username",
)
"""Parts of messages of drivers that have no SQLSTATE for errors while they connect."""


def call_database(name: str, password: str, away: AwayWait, call: Callable[[], T]) -> T:
    """Return what a call of the database returns; wait while the database is away.

    ``away`` also has a reason while an answer takes long.

    Raises:
        SourceError: a person must mend it: the login, a permission, the query.

    """
    from sqlalchemy import exc  # noqa: PLC0415 - an optional extra

    def show(slow: str) -> None:
        away.reason = f"{name}: the database {slow}" if slow else ""

    while True:
        try:
            with shown_if_slow(show):
                result = call()
        except exc.DBAPIError as error:
            reason = first_line(error.orig, password)
            if not _is_away(error):
                raise SourceError(f"{name}: the database refuses the query: {reason}") from None
            away.wait(f"{name}: the database does not answer: {reason}")
        except exc.SQLAlchemyError as error:
            raise SourceError(f"{name}: {first_line(error, password)}") from None
        else:
            away.is_back()
            return result


def _is_away(error: Any) -> bool:
    """Return True if the database may accept the same later."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    by_number = _away_by_number(cause)
    if by_number is not None:
        return by_number
    is_operational = type(cause).__name__ in ("OperationalError", "InterfaceError")
    text = str(cause).lower()
    return is_operational and not any(words in text for words in _WORDS)


def _away_by_number(cause: Any) -> bool | None:
    """Return what the number of a driver's error says; None if it has none."""
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _AWAY_SQLITE
    first = cause.args[0] if cause.args else None
    if isinstance(first, int):
        return first in _AWAY_MYSQL
    state = getattr(cause, "sqlstate", None) or _odbc_state(first)
    return None if state in _NO_STATES else state.startswith(_AWAY_STATES)


def _odbc_state(first: object) -> str:
    """Return the SQLSTATE that ODBC has as the first part of an error."""
    is_state = isinstance(first, str) and re.fullmatch("[0-9A-Z]{5}", first)
    return str(first) if is_state else ""
