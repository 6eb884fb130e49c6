"""What an error of a database means: away for now, or for a person to mend."""

from collections.abc import Callable
from typing import Any, TypeVar

from dispatcher.drivers.database import first_line
from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait

T = TypeVar("T")

_MENDED_BY_PEOPLE = ("28", "3D", "3F", "42", "0A", "22")
"""Classes of SQLSTATE: authorization, no such database or schema, the statement, its data."""
_WORDS = (
    "password authentication failed",
    "no password supplied",
    "access denied",
    "does not exist",
    "unknown database",
    "unable to open database file",
    "no such",
    "permission denied",
)
"""Parts of messages of drivers that have no SQLSTATE for errors while they connect."""


def call_database(name: str, password: str, away: AwayWait, call: Callable[[], T]) -> T:
    """Return what a call of the database returns; wait while the database is away.

    Raises:
        SourceError: a person must mend it: the login, a permission, the query.

    """
    from sqlalchemy import exc  # noqa: PLC0415 - an optional extra

    while True:
        try:
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
    state = getattr(error.orig, "sqlstate", None) or ""
    if state:
        return not state.startswith(_MENDED_BY_PEOPLE)
    is_operational = type(error.orig).__name__ in ("OperationalError", "InterfaceError")
    text = str(error.orig).lower()
    return is_operational and not any(words in text for words in _WORDS)
