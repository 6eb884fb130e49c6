"""A group of changes reads its own rows alone, however few there were when it was planned.

A session plans a statement once. A plan that reads a whole index of contacts costs nothing while
there are ten of them, and much when there are a million.
"""

import orjson
import pytest

from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.leases import register
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
FEW, MANY, GROUP = 2, 4000, 10
AT = 1_000.0
READS = """
SELECT tables.n + indexes.n FROM
(SELECT SUM(seq_tup_read) AS n FROM pg_stat_user_tables WHERE schemaname = 'dispatcher') AS tables,
(SELECT SUM(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE schemaname = 'dispatcher') AS indexes
"""


PAGES = """
SELECT SUM(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)
FROM pg_statio_user_tables WHERE schemaname = 'dispatcher'
"""


class Session:
    """The session of a run, which keeps its plans, with contacts that are claimed."""

    def __init__(self, address):
        self.connection = connect(address, of_a_run=True)
        self.me = register(self.connection, address, "run")
        self.group = self.last = 0
        self.connection.execute(
            "INSERT INTO dispatcher.campaign (name, created_at) VALUES ('list', 0)"
        )

    def contacts(self, count, table="held", last_value=None):
        """Add contacts with their rows in a table, and return their ids."""
        first, self.last = self.last + 1, self.last + count
        self.connection.execute(
            "INSERT INTO dispatcher.contact"
            " (id, campaign_id, status, key, conversation_id, person, text_sha256)"
            " SELECT n, 1, 'open', 'key-' || n, 'talk-' || n, 'person-' || n, ''"
            " FROM generate_series(%s::bigint, %s) AS n",
            (first, self.last),
        )
        self.connection.execute(
            f"INSERT INTO dispatcher.{table}"
            " SELECT n, 1, %s FROM generate_series(%s::bigint, %s) AS n",
            (self.me if last_value is None else last_value, first, self.last),
        )
        return list(range(first, self.last + 1))

    def apply(self, kind, ids, *fields, refused=False):
        """Make the same change to all contacts; ``refused``: none of them permits it."""
        self.group += 1
        work = {kind: [[kind, id_, *fields] for id_ in ids]}
        (answer,) = self.connection.execute(
            "SELECT dispatcher.apply(%s, %s, 60, %s, %s::jsonb)",
            (self.me, self.group, len(ids), orjson.dumps(work).decode()),
        ).fetchone()
        assert (answer is not None) is refused, kind

    def rows_read(self):
        """Return how many rows and entries of indexes were read so far."""
        self.connection.execute("SELECT pg_stat_force_next_flush()")
        return int(self.connection.execute(READS).fetchone()[0])

    def reached(self, count):
        """Add people who were reached, of contacts that are gone."""
        first, self.last = self.last + 1, self.last + count
        self.connection.execute(
            "INSERT INTO dispatcher.reached SELECT 'person-' || n, n, 1, 0"
            " FROM generate_series(%s::bigint, %s) AS n",
            (first, self.last),
        )

    def pages_read(self):
        """Return how many pages of tables and indexes were looked at so far."""
        self.connection.execute("SELECT pg_stat_force_next_flush()")
        return int(self.connection.execute(PAGES).fetchone()[0])


def intend(session, ids):
    session.apply("intend", ids, "notify", AT, "talk", None, None, None, None, None, True, 2, 0.0)


def intend_again(session, ids):
    """All meet the rows of the first time."""
    intend(session, ids)
    again = (None, None, None, None, None, True, 2, 0.0)
    session.apply("intend", ids, "notify", AT, "talk", *again, refused=True)


def refused(session, ids):
    session.apply("retract", ids, refused=True)


def doubt(session, ids):
    intend(session, ids)
    session.apply("doubt", ids, AT, None, '[1,"doubt"]')


def look_again(session, ids):
    doubt(session, ids)
    session.apply("look_again", ids, AT)


def deliver(session, ids):
    intend(session, ids)
    link = ("notified", "talk", "message", None, "active", AT, AT)
    session.apply("deliver", ids, "notified", "delivered", AT, "id", "", *link, None, '[1,"sent"]')


def settle(session, ids):
    link = (None,) * 7
    session.apply("settle", ids, "skipped", "expired", AT, "id", "", *link, None, '[1,"late"]')


def defer(session, ids):
    session.apply("defer", ids, AT, None, '[1,"later"]')


def release(session, ids):
    session.apply("release", ids, AT)


def retract(session, ids):
    intend(session, ids)
    session.apply("retract", ids)


def claim(session, ids):
    release(session, ids)
    session.connection.execute(
        "SELECT dispatcher.claim(%s, 1, %s, %s, NULL)", (session.me, len(ids), AT)
    )


def claim_early(session, ids):
    release(session, ids)
    session.connection.execute(
        "SELECT dispatcher.claim(%s, 1, 0, 0, %s::bigint[])", (session.me, ids)
    )


CHANGES = (
    intend, refused, intend_again, doubt, look_again, deliver, settle, defer, release, retract,
    claim, claim_early,
)  # fmt: skip


@pytest.mark.parametrize("counted", [False, True], ids=["new tables", "counted tables"])
def test_plans_that_were_made_for_few_contacts_read_no_more_of_many(ledger_databases, counted):
    """``counted`` tables are those of which the server knows how few rows they have."""
    address = ledger_databases.create()
    session = Session(address)
    few = session.contacts(FEW)
    if counted:
        session.connection.execute("VACUUM ANALYZE")
    for change in CHANGES:
        change(session, few)
        few = session.contacts(FEW)
    many, read = session.contacts(MANY), {}
    for number, change in enumerate(CHANGES):
        before = session.rows_read()
        change(session, many[number::100][:GROUP])
        read[change.__name__] = session.rows_read() - before
    session.connection.close()
    ledger_databases.drop(address)
    assert {name: rows for name, rows in read.items() if rows > 100 * GROUP} == {}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_plans_that_were_made_for_a_few_rows_use_the_right_index(ledger_databases, rows):
    """A small table is planned anew when it has grown, but that may take a minute."""
    address = ledger_databases.create()
    session = Session(address)
    few = session.contacts(rows)
    session.contacts(rows, "ready", AT)
    session.reached(rows)
    for table in ("contact", "held", "ready", "unsettled", "reached", "lineage"):
        # it would plan anew, and its own reads would be counted
        session.connection.execute(f"ALTER TABLE dispatcher.{table} SET (autovacuum_enabled = off)")
    session.connection.execute("VACUUM ANALYZE")
    for change in CHANGES:
        change(session, few)
        few = session.contacts(rows)
    session.contacts(10 * MANY, "ready", AT + 1)
    session.reached(10 * MANY)
    many, read = session.contacts(MANY), {}
    for number, change in enumerate(CHANGES):
        before = session.pages_read()
        change(session, many[number::100][:GROUP])
        read[change.__name__] = session.pages_read() - before
    session.connection.close()
    ledger_databases.drop(address)
    assert {name: pages for name, pages in read.items() if pages > 100 * GROUP} == {}


def test_a_take_up_reads_only_what_was_in_flight(ledger_databases):
    """Of a campaign with many contacts that wait."""
    address = ledger_databases.create()
    session = Session(address)
    session.contacts(MANY, "ready", AT)
    intend(session, session.contacts(GROUP))
    session.contacts(GROUP)
    before = session.rows_read()
    statement = "SELECT dispatcher.take_up(%s, 1, %s)"
    assert session.connection.execute(statement, (session.me, AT)).fetchone() == ([GROUP, GROUP],)
    read = session.rows_read() - before
    session.connection.close()
    ledger_databases.drop(address)
    assert read <= 20 * GROUP
