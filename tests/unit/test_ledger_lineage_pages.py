"""What sinks read of a ledger."""

from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.read.lineage_pages import lineage_after, lineage_lag
from dispatcher.ports.care import PruneOrder
from tests.support.filled_lineage import NOW, fill_lineage


def test_rows_that_were_pruned_do_not_wait(tmp_path):
    """A sink that begins with the first row begins after them."""
    path = tmp_path / "ledger.db"
    fill_lineage(path, "c", range(40))
    assert (lineage_lag(path, ""), lineage_lag(path, "35"), lineage_lag(path, "40")) == (40, 5, 0)
    SqliteOperatorStore(path).tend(PruneOrder(NOW + 10))
    fill_lineage(path, "c", range(40, 43))
    assert lineage_lag(path, "") == len(lineage_after(path, "rows", "", 99)) == 4
