"""Ledgers in databases of the test server: each test has one of its own."""

from dispatcher.ledgers.postgres.address import PostgresAddress, connect
from dispatcher.ledgers.postgres.migrations import migrate
from tests.support.servers.postgres import PASSWORD, USER, Postgres


def address_of(port: int, name: str, **more: object) -> PostgresAddress:
    """Return the address of a database; the test server runs without fsync."""
    url = f"postgresql://{USER}@127.0.0.1:{port}/{name}"
    return PostgresAddress(url, PASSWORD, checks_fsync=False, **more)  # type: ignore[arg-type]


class LedgerDatabases:
    """Makes databases with an empty ledger: copies of one that was migrated once."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._template = server.copy("template1", "template")
        address = address_of(server.port, self._template)
        connection = connect(address)
        migrate(connection, address)
        connection.close()

    def create(self, **more: object) -> PostgresAddress:
        """Return the address of a new database with an empty ledger."""
        return address_of(self.server.port, self.server.copy(self._template, "ledger"), **more)

    def clone(self, address: PostgresAddress) -> PostgresAddress:
        """Return the address of a new database with all that is in another one."""
        name = address.url.rpartition("/")[2]
        return address_of(self.server.port, self.server.copy(name, "ledger"))

    def create_empty(self, **more: object) -> PostgresAddress:
        """Return the address of a new database without anything in it."""
        database = self.server.database()
        return address_of(self.server.port, database.name, **more)

    def drop(self, address: PostgresAddress) -> None:
        """Remove a database, whoever is connected."""
        name = address.url.rpartition("/")[2]
        self.server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
