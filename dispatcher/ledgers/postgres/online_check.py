"""Looks at a server as a run would use it, for people who check a configuration."""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    connect,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.hosts import single_hosts
from dispatcher.ledgers.postgres.migrations import check_functions, check_schema
from dispatcher.ledgers.postgres.operator_connection import APPLICATION
from dispatcher.ledgers.postgres.operator_store import find_runs
from dispatcher.ledgers.postgres.server_check import check_server
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all, fetch_row

if TYPE_CHECKING:
    from psycopg import Connection

_MAY_CREATE = "SELECT has_database_privilege(current_database(), 'CREATE')"
_LACKS = """
    SELECT privilege || ' on dispatcher.' || relname
    FROM pg_class INNER JOIN pg_namespace ON pg_namespace.oid = relnamespace
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS it (privilege)
    WHERE
        nspname = 'dispatcher' AND relkind = 'r'
        AND NOT has_table_privilege(pg_class.oid, privilege)
        AND NOT (relname = 'store' AND privilege IN ('INSERT', 'DELETE'))
    UNION ALL
    SELECT 'SELECT on dispatcher.' || relname FROM pg_class
    WHERE
        relnamespace = 'dispatcher'::regnamespace AND relkind = 'v'
        AND NOT has_table_privilege(oid, 'SELECT')
    UNION ALL
    SELECT 'USAGE on sequence dispatcher.' || relname FROM pg_class
    WHERE
        relnamespace = 'dispatcher'::regnamespace
        AND CASE WHEN relkind = 'S' THEN NOT has_sequence_privilege(oid, 'USAGE') ELSE false END
    UNION ALL
    SELECT 'EXECUTE on function dispatcher.' || proname FROM pg_proc
    WHERE
        pronamespace = 'dispatcher'::regnamespace
        AND NOT has_function_privilege(pg_proc.oid, 'EXECUTE')
    ORDER BY 1
"""
_MAY_REPLACE = """
    SELECT COALESCE(bool_and(pg_has_role(proowner, 'USAGE')), true) FROM pg_proc
    WHERE pronamespace = 'dispatcher'::regnamespace
"""
_ENCRYPTION = "SELECT COALESCE((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()), '')"


def check_database(address: PostgresAddress) -> str:
    """Return in words what is there; nothing is written.

    Each host of the URL is tried alone, too: a run needs the others after a failover.

    Raises:
        LedgerError: a run could not use it; the message says what to do.

    """
    psycopg = load_psycopg()
    connection = connect(address, application_name=APPLICATION)
    try:
        check_server(connection, address)
        has_ledger = check_schema(connection, address)
        found = _describe(connection, address, has_ledger=has_ledger)
    except psycopg.Error as error:
        raise translate_error(address, error) from None
    finally:
        connection.close()
    hosts = single_hosts(address)
    for host in hosts:
        connect(host, read_only=True, application_name=APPLICATION).close()
    return f"{found}; all {len(hosts)} hosts let this user in" if hosts else found


def _describe(connection: "Connection[Any]", address: PostgresAddress, *, has_ledger: bool) -> str:
    version = connection.info.server_version // 10_000
    (encryption,) = fetch_row(connection, _ENCRYPTION)
    server = f"PostgreSQL {version}, {encryption or 'not encrypted'}"
    if not has_ledger:
        if not fetch_row(connection, _MAY_CREATE)[0]:
            raise ledger_error(
                address,
                "there is no ledger in this database, and this user may not make one; run "
                "`dispatcher ledger migrate` as its owner, see docs/ledger-postgres.md",
            )
        return f"{server}; there is no ledger yet: the first run makes it"
    if lacks := [row[0] for row in fetch_all(connection, _LACKS)]:
        more = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""  # noqa: PLR2004 - enough to see which
        raise ledger_error(
            address,
            f"this user lacks {', '.join(lacks[:3])}{more}; grant it, see docs/ledger-postgres.md",
        )
    if not fetch_row(connection, _MAY_REPLACE)[0]:
        check_functions(connection, address)
    campaigns = len(fetch_all(connection, QUESTIONS["campaigns"]))
    runs = [f"{run.name} on {run.host}" for run in find_runs(connection)]
    return f"{server}; {campaigns} campaigns; {', '.join(runs) or 'no dispatcher'} works on it"
