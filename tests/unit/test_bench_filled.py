"""The filled ledger of the benchmarks is one that runs could have left."""

from benchmarks.filled import fill
from dispatcher.domain.status import Status
from dispatcher.ledgers.maintenance.integrity import check_integrity
from tests.support.ledger_reader import read_status


def test_a_filled_ledger_is_whole(tmp_path):
    """Every check passes, the sums are there, and all indexes are back."""
    path = tmp_path / "ledger.db"
    fill(path, "bench", 1000)
    assert [finding.name for finding in check_integrity(path) if finding.count] == []
    (campaign,) = read_status(path, now=0.0)
    assert sum(campaign.totals.by_status.values()) == 1000
    assert {status for status, _ in campaign.totals.by_status} >= {Status.NOTIFIED, Status.OPENED}
