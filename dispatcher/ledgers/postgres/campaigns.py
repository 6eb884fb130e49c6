"""Campaigns of a ledger in PostgreSQL, by their names."""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all
from dispatcher.ports import CommandError

if TYPE_CHECKING:
    from psycopg import Connection


def find_campaigns(
    connection: "Connection[Any]", name: str | None, address: PostgresAddress | None = None
) -> dict[str, int]:
    """Return the id of one campaign by its name, or with None those of all campaigns.

    Raises:
        CommandError: there is no such campaign, and no ``address`` was passed.
        LedgerError: there is no such campaign in the ledger at ``address``.

    """
    known = {str(row[0]): int(row[1]) for row in fetch_all(connection, QUESTIONS["campaigns"])}
    if name is None:
        return known
    if name in known:
        return {name: known[name]}
    names = ", ".join(known) or "none"
    if address is None:
        raise CommandError(f"campaign {name!r} is not in the ledger; it holds: {names}")
    raise ledger_error(address, f"campaign {name!r} is not in it; it holds: {names}")
