"""The place of a partition: what is lost, and what the ledger does not have yet."""

from dispatcher.ports import Stream
from dispatcher.sources.kafka.partitions import Partition, fingerprint_of

KNOWN = Stream("carts[0]", "f", "40", 40, done=False)


def test_messages_that_the_retention_has_deleted_are_named():
    """From the place on up to the first that exists, where reading goes on."""
    partition = Partition.of("carts[0]", "f", KNOWN, 0)
    row = partition.lost(50, None)
    assert (row.file, row.line, row.reason) == ("carts[0]", 40, "lost")
    assert "the messages with the offsets 40 to 49 were deleted" in row.detail
    assert "Reading continues at offset 50" in row.detail
    stream, before = partition.move(50, 0)
    assert (stream.at, before, partition.rows) == ("50", "40", 40)


def test_a_place_within_the_partition_has_lost_nothing():
    """Neither at its beginning nor at its end."""
    partition = Partition.of("carts[0]", "f", KNOWN, 0)
    assert partition.lost(40, 90) is None
    assert partition.lost(0, 40) is None
    assert partition.lost(0, 39) is not None


def test_the_lag_is_what_was_not_admitted():
    """Control records at the end are no messages that wait."""
    partition = Partition.of("carts[0]", "f", KNOWN, 0)
    partition.end = 60
    assert partition.lag == 20
    partition.move(60, 20)
    assert partition.lag == 20
    partition.admitted = 60
    partition.end = partition.next = 61
    assert partition.lag == 0


def test_a_generation_makes_another_stream():
    """So does another cluster with a topic of the same name."""
    names = [("a", "carts", ""), ("a", "carts", "2"), ("b", "carts", ""), ("a", "carts2", "")]
    assert len({fingerprint_of(*name, 0) for name in names}) == len(names)
