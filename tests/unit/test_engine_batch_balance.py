"""Batches may cost little more than they save, whatever the platform's records are worth."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.engine.batch_balance import MOST, SHARE, START, BatchBalance
from dispatcher.engine.batch_size import FRESH_SECONDS, batch_size
from dispatcher.ports import MAX_STATES_PER_CALL

waves = st.lists(st.tuples(st.integers(2, 100), st.integers(0, 100), st.integers(0, 100)))
"""Contacts that wait together, how many of their records are used, how many of those mislead."""


@given(waves)
def test_all_requests_are_at_most_a_little_more_than_individual_reads(found):
    balance = BatchBalance()
    spent = individual = 0
    for size, most_used, most_misled in found:
        used = min(size, most_used) if balance.permits_batch else 0
        misled = min(used, most_misled)
        if balance.permits_batch:
            balance.count_batch()
            spent += 1
        for _ in range(used):
            balance.count_used()
        for _ in range(misled):
            balance.count_refused(too_many=True)
        for _ in range(size - used):
            balance.count_individual()
        # a record that misled cost a refused send, and the read that it had replaced
        spent += (size - used) + 2 * misled
        individual += size
    last = max((size for size, _, _ in found), default=0)  # of one batch the sends are on their way
    assert spent <= individual * (1 + SHARE) + START + last


def test_useless_records_end_batches_until_reads_have_paid_for_one():
    balance = BatchBalance()
    for _ in range(int(START)):
        assert balance.permits_batch
        balance.count_batch()
    assert not balance.permits_batch
    for _ in range(int(1 / SHARE) + 1):
        balance.count_individual()
    assert balance.permits_batch


def test_savings_of_long_ago_do_not_pay_for_useless_records():
    balance = BatchBalance()
    for _ in range(100_000):
        balance.count_used()
    tries = 0
    while balance.permits_batch:
        balance.count_batch()
        tries += 1
    assert tries <= MOST


def test_a_number_is_used_as_it_is():
    assert batch_size(20, lambda: 0.001)() == 20


def test_auto_follows_the_quota():
    rate = [5.0]
    size = batch_size("auto", lambda: rate[0])
    assert size() == 5 * FRESH_SECONDS == 75
    rate[0] = 1.0
    assert size() == FRESH_SECONDS
    rate[0] = 0.01
    assert size() == 1
    rate[0] = 1000.0
    assert size() == MAX_STATES_PER_CALL
