"""What a server must be like for a run, each with a sentence that says what to do."""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ports import LedgerAwayError, LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

_FACTS = """
    SELECT
        current_setting('fsync'), current_setting('synchronous_commit'),
        current_setting('synchronous_standby_names'), current_setting('server_encoding'),
        current_setting('full_page_writes'), pg_is_in_recovery(),
        current_setting('transaction_read_only'),
        (
            SELECT count(*) FROM pg_stat_activity
            WHERE
                wait_event = 'SyncRep' AND usename = current_user
                AND query_start < clock_timestamp() - interval '3 seconds'
        )
"""


def check_server(connection: "Connection[Any]", address: PostgresAddress) -> None:
    """Check that what a server confirms is durable, and that it can be written.

    Raises:
        LedgerAwayError: it cannot be written now, or confirms no commit: one more would wait, too.
        LedgerError: it may lose what it confirms, or has another encoding.

    """
    row = connection.execute(_FACTS).fetchone()
    assert row is not None  # noqa: S101 - it returns one row
    fsync, commit, standbys, encoding, pages, replica, read_only, waiting = row
    if replica or read_only == "on":
        raise LedgerAwayError(
            f"ledger {address.name}: this server only reads at present; name the hosts of all "
            "servers in ledger.url, and the one that can be written is found"
        )
    if waiting:
        raise LedgerAwayError(f"ledger {address.name}: {sync_wait(standbys)}")
    if encoding != "UTF8":
        raise ledger_error(
            address,
            f"the database has the encoding {encoding}; create one with ENCODING 'UTF8'",
        )
    torn = pages == "off" and address.durable != "managed"  # its disk may need no whole pages
    if (fsync == "off" or torn) and address.checks_fsync:
        name = "fsync" if fsync == "off" else "full_page_writes"
        raise _not_durable(address, f"{name} = off", f"set {name} = on")
    if commit in ("off", "local"):
        raise _not_durable(
            address,
            f"synchronous_commit = {commit}",
            "set synchronous_commit = on for this user or this database",
        )
    if address.durable == "replicated" and not standbys:
        raise _not_durable(
            address,
            "no synchronous_standby_names",
            'set them; or ledger.durable = "managed" if the provider of the database replicates '
            'below the server, as RDS Multi-AZ; or accept with "single" that commits are lost with '
            "the server's disk",
        )
    if address.durable == "replicated" and commit == "remote_write":
        raise _not_durable(
            address, "synchronous_commit = remote_write", "set synchronous_commit = on"
        )


def sync_wait(standbys: str) -> str:
    """Return what a commit waits for, and what to do."""
    return (
        "the server waits for a synchronous standby to confirm a commit "
        f"(synchronous_standby_names = '{standbys}'). Start the standby; to go on without one an "
        "administrator changes that setting, see docs/high-availability.md"
    )


def _not_durable(address: PostgresAddress, what: str, advice: str) -> LedgerError:
    return ledger_error(
        address,
        f"the server has {what}, so what it confirms may be lost, and would be sent "
        f"twice; {advice}",
    )
