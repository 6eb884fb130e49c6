"""A connection of a command of an operator, with errors in the words of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    connect,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.migrations import (
    Migrated,
    check_functions,
    check_schema,
    migrate,
)
from dispatcher.ledgers.postgres.waits import WaitReport
from dispatcher.ports import LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

_NO_LEDGER = "there is no ledger in this database; check ledger.url, or run a campaign first"
APPLICATION = "dispatcher command"
"""What the server shows of a command's connection."""


def migrate_database(address: PostgresAddress) -> Migrated:
    """Bring the schema and its functions to the newest version.

    Raises:
        LedgerError: the server does not answer, or the schema cannot be changed.

    """
    connection = connect(address, application_name=APPLICATION, statement_seconds=0)
    WaitReport(connection, address)
    try:
        return migrate(connection, address)
    finally:
        connection.close()


def has_ledger(address: PostgresAddress) -> bool:
    """Return whether there is a ledger in a database.

    Raises:
        LedgerError: the server does not answer, or the ledger is of another version.

    """
    opened = OperatorConnection(address, read_only=True, may_be_empty=True)
    opened.close()
    return opened.has_ledger


class OperatorConnection:
    """A connection to a ledger of this version. It may read and write for as long as it takes.

    If that is because the server waits, standard error says what for. For a synchronous standby it
    waits `GIVE_UP_SECONDS`.

    ``may_be_empty`` accepts a database without a ledger; see `has_ledger`.

    Raises:
        LedgerError: the server does not answer as it should, or has no ledger of this version.

    """

    def __init__(
        self, address: PostgresAddress, *, read_only: bool = False, may_be_empty: bool = False
    ) -> None:
        self._address = address
        self._connection = connect(
            address, read_only=read_only, application_name=APPLICATION, statement_seconds=0
        )
        self._waits = WaitReport(self._connection, address, gives_up=True)
        try:
            with self.errors() as connection:
                self.has_ledger = check_schema(connection, address, reads=read_only)
                if self.has_ledger and not read_only:
                    check_functions(connection, address)
        except BaseException:
            self._connection.close()
            raise
        if not self.has_ledger and not may_be_empty:
            self._connection.close()
            raise ledger_error(address, _NO_LEDGER)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def errors(self) -> Iterator["Connection[Any]"]:
        """Yield the connection, and translate the driver's errors."""
        psycopg = load_psycopg()
        try:
            yield self._connection
        except psycopg.Error as error:
            if self._waits.gave_up_on:
                raise _unconfirmed(self._address, self._waits.gave_up_on) from None
            raise translate_error(self._address, error) from None


def _unconfirmed(address: PostgresAddress, words: str) -> LedgerError:
    return ledger_error(
        address,
        f"{words}. This command waits no longer. The server may have done what it was to do, so it "
        "may have its effect when the standby is back: look at `dispatcher status`, and repeat the "
        "command then. To stop all sends at once end the dispatchers",
    )
