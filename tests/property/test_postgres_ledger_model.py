"""The ledger in PostgreSQL against the same plain model as that in a file, with fewer examples."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from dispatcher.domain.progress import NEW
from dispatcher.domain.status import REPLAYABLE, Reason, Status
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import Limits
from dispatcher.ports.care import PruneOrder
from dispatcher.ports.orders import ReplayOrder, Selection
from dispatcher.ports.questions import BEGINNING, ContactRows, LineageRows
from tests.conftest import EXAMPLES
from tests.property.test_ledger_model import CAMPAIGN, LedgerMachine, anybody, where
from tests.support.servers.shared import on


class PostgresLedgerMachine(LedgerMachine):
    databases = None

    def __init__(self):
        super().__init__()
        self.store = None
        self.address = self.databases.create()
        self.operator = PostgresOperatorStore(self.address)

    def teardown(self):
        try:
            if self.store is not None:
                self.run(self.store.close())
                assert self.findings() == []
        finally:
            self.runner.close()
            self.folder.cleanup()
            self.databases.drop(self.address)

    @initialize()
    def begin(self):
        self.open()

    def open(self):
        self.store = self.run(PostgresStore.open(self.address, now=lambda: self.now))
        self.ledger = self.run(self.store.campaign(CAMPAIGN))
        self.ledger.recover = self.recover
        self.check_recovery()

    async def recover(self):
        return (await self.store.take_up())[CAMPAIGN]

    def findings(self):
        return [finding.name for finding in self.operator.verify() if finding.count]

    @where(*REPLAYABLE)
    @rule(data=st.data())
    def replay(self, data):
        if key := self.among(data, *REPLAYABLE):
            row = self.known[key]
            doubtful = row.reason is Reason.IN_DOUBT
            busy = doubtful and self.is_busy(row)
            selection = Selection(2 * self.now, names=(key,), status=row.status)
            replayed = self.run(self.store.order(ReplayOrder(selection)))
            assert replayed == {"ready": not doubtful, "in_doubt": doubtful and not busy}
            if busy:
                return  # it stays parked: another send to the same conversation or person goes on
            row.status = Status.IN_DOUBT if doubtful else Status.READY
            row.reason, row.due = None, self.now
            row.progress = row.progress if doubtful else NEW

    def is_busy(self, row):
        return self.hindrance(row, row.person, Limits()) is not None

    @precondition(anybody)
    @rule(age=st.integers(-1, 5), parked=st.booleans())
    def prune(self, age, parked):
        before = self.now - age
        kept = {self.newest, self.newest_lineage}
        old = [
            key
            for key, row in self.known.items()
            if row.reason and row.settled_at < before and key not in kept
            if parked or row.status is not Status.PARKED
        ]
        bad = [at for at in self.bad_at[:-1] if at < before]
        pruned, *_ = self.operator.tend(PruneOrder(before, parked=parked))
        assert (pruned.contacts, pruned.rejected) == (len(old), len(bad))
        assert pruned.lineage == sum(self.known[key].lineage for key in old)
        for key in old:
            self.gone[key] = self.known.pop(key)
            self.ids.pop(key)
        self.bad_at = self.bad_at[len(bad) :]
        self.admit_again(old)

    def merge_staged(self):
        """A database has no staged rows."""

    @precondition(anybody)
    @rule()
    def restart(self):
        self.run(self.store.close())
        self.open()

    @precondition(anybody)
    @rule()
    def crash(self):
        abandoned = self.store
        with connect(self.address) as server:
            server.execute("UPDATE dispatcher.daemon SET fenced = true")  # as who takes over
        self.open()
        self.run(abandoned.close())

    @invariant()
    def lineage_is_there_for_each_message(self):
        if self.ledger is None:
            return
        lineage = self.run(self.store.page(LineageRows(CAMPAIGN), BEGINNING))
        opened = self.run(self.store.page(ContactRows(CAMPAIGN, Status.OPENED), BEGINNING))
        keys = sorted(row.contact_key for row in lineage.rows)
        assert keys == sorted(key for key, row in self.known.items() if row.lineage)
        assert all(row.progress.target is None for row in opened.rows)


@pytest.fixture(scope="module", autouse=True)
def _databases(ledger_databases):
    PostgresLedgerMachine.databases = ledger_databases


TestPostgresLedgerModel = pytest.mark.slow(on("postgres_server")(PostgresLedgerMachine.TestCase))
TestPostgresLedgerModel.settings = settings(
    max_examples=max(5, EXAMPLES // 6),
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
