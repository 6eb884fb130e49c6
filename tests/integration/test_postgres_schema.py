"""The schema of a ledger in PostgreSQL: its migrations, and its indexes."""

from collections import defaultdict

import psycopg
import pytest

from dispatcher.ledgers.postgres import migrations
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.leases import register
from dispatcher.ledgers.postgres.migrations import migrate
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import Lease, LeaseKind, LedgerError, LedgerLockedError
from dispatcher.ports.store import Recovered
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1000.0
STATUSES = ("ready", "claimed", "sending", "in_doubt", "skipped", "parked", "notified")
RUN_OUT = "UPDATE dispatcher.daemon SET lease_until = clock_timestamp() - interval '1 second'"
READER, OWNER = "reader_of_views", "owner_of_tables"

# A ledger of version 1 with a contact of each status.
ROWS_OF_1 = """
INSERT INTO dispatcher.campaign (name, created_at, rows_read, admitted) VALUES ('a', 0, 7, 7);
INSERT INTO dispatcher.contact (
    id, campaign_id, status, reason, due, settled_at, kept, key, conversation_id, person, text,
    text_sha256, not_before
)
SELECT
    n, 1, CASE status WHEN 'sending' THEN 'claimed' ELSE status END,
    (ARRAY[NULL, NULL, NULL, NULL, 'expired', 'retry_loop', 'delivered'])[n],
    CASE status WHEN 'ready' THEN 5 END, CASE WHEN n > 4 THEN 7 END,
    CASE status WHEN 'parked' THEN true END,
    (ARRAY['a-b', 'ab', 'a b', 'A-b', '\u00e4b', 'a\u0301b', 'ab-'])[n], 'talk-' || n,
    'person-' || n, CASE WHEN n < 5 OR n = 6 THEN 'Hello' END, '\\x01', n
FROM unnest(ARRAY['ready', 'claimed', 'sending', 'in_doubt', 'skipped', 'parked', 'notified'])
    WITH ORDINALITY AS it (status, n);
INSERT INTO dispatcher.held SELECT id, 1, 0 FROM dispatcher.contact WHERE status = 'claimed';
INSERT INTO dispatcher.unsettled (
    contact_id, campaign_id, daemon_id, status, conversation_id, person, look_at, intent_at,
    intent_step
)
SELECT
    id, 1, 0, CASE id WHEN 3 THEN 'sending' ELSE 'in_doubt' END, conversation_id, person,
    CASE id WHEN 4 THEN 9 END, 4, 'notify'
FROM dispatcher.contact WHERE id IN (3, 4);
INSERT INTO dispatcher.reached
SELECT person, id, 1, 4 FROM dispatcher.contact WHERE id IN (3, 4, 7);
INSERT INTO dispatcher.lineage (contact_id, relation, conversation_id, message_id, correlation_id)
VALUES (7, 'notified', 'talk-7', 'message-7', 'x');
INSERT INTO dispatcher.settled_sum
SELECT campaign_id, status, reason, 1 FROM dispatcher.contact WHERE reason IS NOT NULL;
"""


@pytest.fixture
def empty(ledger_databases):
    address = ledger_databases.create_empty()
    yield address
    ledger_databases.drop(address)


@pytest.fixture
def of_version_1(empty, monkeypatch):
    with monkeypatch.context() as patch, connect(empty) as server:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        migrate(server, empty)
        server.execute(ROWS_OF_1, prepare=False)
    return empty


def contacts(address):
    """Return all that is known of each contact."""
    with connect(address) as server:
        cursor = server.execute("SELECT * FROM dispatcher.contact_now ORDER BY id")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def broken(address):
    found = PostgresOperatorStore(address).verify(quick=False)
    return [finding.name for finding in found if finding.count]


def test_a_ledger_of_version_1_is_the_same_afterwards(of_version_1):
    """Contacts of each status are as they were, and the rules of the ledger hold."""
    before = contacts(of_version_1)
    assert [contact["status"] for contact in before] == list(STATUSES)
    with connect(of_version_1) as server:
        assert migrate(server, of_version_1) == (1, 2, True)
        assert migrate(server, of_version_1) == (2, 2, False)
        rows = server.execute("SELECT * FROM dispatcher.ready").fetchall()
    assert contacts(of_version_1) == before
    assert rows == [(1, 1, 5.0)]
    assert broken(of_version_1) == []


async def test_a_ledger_of_version_1_goes_on(of_version_1):
    """What waited is claimed, what was claimed is ready again, what was sent is in doubt."""
    with pytest.raises(LedgerError, match=r"schema is older \(1, this dispatcher needs 2\)"):
        await PostgresStore.open(of_version_1)
    with connect(of_version_1) as server:
        migrate(server, of_version_1)
    store = await PostgresStore.open(of_version_1, now=lambda: NOW)
    await store.try_take([Lease(LeaseKind.CAMPAIGN, "a")])
    ledger = await store.campaign("a")
    assert (await store.take_up())["a"] == Recovered(released=1, in_doubt=2)
    assert sorted(claim.id for claim in await ledger.claim(9, NOW)) == [1, 2]
    assert [it["status"] for it in contacts(of_version_1)][2:4] == ["in_doubt", "in_doubt"]
    await store.close()


def test_a_ledger_that_a_run_uses_is_not_migrated(of_version_1):
    """Its run would not know the schema. One whose lease has run out can commit nothing more."""
    with connect(of_version_1) as server:
        (me,) = server.execute(
            "INSERT INTO dispatcher.daemon (name, host, lease_until)"
            " VALUES ('run-1', 'one', clock_timestamp() + interval '10 s') RETURNING id"
        ).fetchone()
        with pytest.raises(LedgerLockedError, match=r"run-1 on one uses it; end all runs"):
            migrate(server, of_version_1)
        server.execute(RUN_OUT)
        assert migrate(server, of_version_1).after == 2
        fenced = server.execute("SELECT fenced FROM dispatcher.daemon WHERE id = %s", [me])
        assert fenced.fetchone() == (True,)


def test_rights_are_as_before(of_version_1):
    """Those on the views, which are made once more; the new table has those of a similar one."""
    granted = """
        SELECT table_name, privilege_type, is_grantable FROM information_schema.table_privileges
        WHERE grantee = %(role)s
        UNION
        SELECT table_name || '.' || column_name, privilege_type, is_grantable
        FROM information_schema.column_privileges AS it
        WHERE grantee = %(role)s AND column_name IN ('key', 'status', 'daemon_id')
        ORDER BY 1, 2
    """
    with connect(of_version_1) as server:
        server.execute(f"CREATE ROLE {READER}")
        server.execute(f"GRANT SELECT ON dispatcher.lineage_row TO {READER} WITH GRANT OPTION")
        server.execute(f"GRANT SELECT (key, status) ON dispatcher.contact_now TO {READER}")
        server.execute(f"GRANT INSERT, DELETE ON dispatcher.held TO {READER}")
        server.execute(f"GRANT SELECT (daemon_id) ON dispatcher.held TO {READER}")
        before = set(server.execute(granted, {"role": READER}))
        migrate(server, of_version_1)
        after = set(server.execute(granted, {"role": READER}))
        owners = server.execute(
            "SELECT DISTINCT relowner FROM pg_class WHERE relnamespace = 'dispatcher'::regnamespace"
        ).fetchall()
        server.execute(f"DROP OWNED BY {READER}")
        server.execute(f"DROP ROLE {READER}")
    assert ("lineage_row", "SELECT", "YES") in before
    assert ("contact_now.key", "SELECT", "NO") in before
    assert ("held.daemon_id", "SELECT", "NO") in before
    assert after - before == {("ready", "INSERT", "NO"), ("ready", "DELETE", "NO")}
    assert before <= after
    assert len(owners) == 1


def test_what_an_administrator_migrates_is_the_owners(empty, monkeypatch):
    """With the owner's default rights, and without those that were taken away."""
    with connect(empty) as server:
        server.execute(f"CREATE ROLE {OWNER}")
        server.execute(f"CREATE ROLE {READER}")
        server.execute(f"GRANT CREATE ON DATABASE {empty.url.rpartition('/')[2]} TO {OWNER}")
        defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER}"
        server.execute(f"{defaults} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        server.execute(f"{defaults} GRANT SELECT ON TABLES TO {READER}")
        server.execute(f"SET ROLE {OWNER}")
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
            migrate(server, empty)
        server.execute(f"REVOKE SELECT ON dispatcher.contact_now FROM {READER}")
        server.execute("RESET ROLE")
        assert migrate(server, empty) == (1, 2, True)
        owners = server.execute(
            "SELECT relowner::regrole::text FROM pg_class"
            " WHERE relnamespace = 'dispatcher'::regnamespace"
            " UNION SELECT proowner::regrole::text FROM pg_proc"
            " WHERE pronamespace = 'dispatcher'::regnamespace"
        ).fetchall()
        public = server.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'dispatcher'::regnamespace"
            " AND has_function_privilege('public', oid, 'execute')"
        ).fetchall()
        readable = server.execute(
            "SELECT relname FROM pg_class WHERE relname IN ('contact_now', 'lineage_row', 'held')"
            " AND has_table_privilege(%s, oid, 'select') ORDER BY 1",
            [READER],
        ).fetchall()
        for role in (OWNER, READER):
            server.execute(f"DROP OWNED BY {role} CASCADE")
            server.execute(f"DROP ROLE {role}")
    assert owners == [(OWNER,)]
    assert public == []
    assert readable == [("held",), ("lineage_row",)]


@pytest.mark.parametrize("of", ["lineage_row", "contact", "lineage"])
def test_a_view_of_a_user_is_named(of_version_1, of):
    """The server lets nobody change what it reads; nothing is changed then."""
    with connect(of_version_1) as server:
        server.execute("CREATE SCHEMA reports")
        server.execute(f"CREATE VIEW reports.mine AS SELECT * FROM dispatcher.{of}")
        with pytest.raises(LedgerError, match=r"reports\.mine depends on .*\. Drop it, migrate"):
            migrate(server, of_version_1)
        server.execute("DROP VIEW reports.mine")
        assert migrate(server, of_version_1) == (1, 2, True)


def test_a_run_that_has_looked_before_the_migration_does_not_begin(of_version_1, monkeypatch):
    """It would work with functions that it does not know."""
    with connect(of_version_1) as server:
        migrate(server, of_version_1)
        with pytest.raises(psycopg.errors.UndefinedFunction):
            server.execute("SELECT dispatcher.register('old', 'host', 10)")
        monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        with pytest.raises(psycopg.DatabaseError, match="another version"):
            register(server, of_version_1, "run")


def test_a_moved_ledger_can_be_migrated(of_version_1):
    """It is still read, and can be taken back."""
    with connect(of_version_1) as server:
        server.execute(
            "INSERT INTO dispatcher.move (state, copy_id, place, at, progress)"
            " VALUES ('moved', 'x', 'ledger.db', 1, '[]')"
        )
        assert migrate(server, of_version_1) == (1, 2, True)


def test_the_planner_knows_the_columns_afterwards(of_version_1):
    """What is known of a column is lost when its collation changes."""
    with connect(of_version_1) as server:
        migrate(server, of_version_1)
        columns = server.execute(
            "SELECT count(*) FROM pg_stats WHERE schemaname = 'dispatcher'"
            " AND (tablename, attname) IN (('reached', 'person'), ('ready', 'due'))"
        )
        assert columns.fetchone() == (2,)


def test_a_large_table_is_not_written_again(of_version_1):
    """Only indexes are, so that a migration takes no second copy of the ledger on the disk."""
    with connect(of_version_1) as server:
        files = (
            "SELECT pg_relation_filenode('dispatcher.lineage'),"
            " pg_relation_filenode('dispatcher.contact')"
        )
        before = server.execute(files).fetchone()
        migrate(server, of_version_1)
        assert server.execute(files).fetchone() == before


def test_no_index_depends_on_the_collation_of_the_database(empty):
    """A replica or a newer system may order texts in another way, and would miss rows."""
    with connect(empty) as server:
        migrate(server, empty)
        found = server.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute"
            " INNER JOIN pg_class ON pg_class.oid = attrelid"
            " WHERE relnamespace = 'dispatcher'::regnamespace AND relkind IN ('r', 'i')"
            " AND attcollation NOT IN (0, 'pg_catalog.\"C\"'::regcollation)"
        ).fetchall()
    columns = defaultdict(list)
    for table, column in found:
        columns[table].append(column)
    assert columns == {}
