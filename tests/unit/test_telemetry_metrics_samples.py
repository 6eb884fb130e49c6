"""Samples between two flushes, and after flushes that failed."""

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.telemetry.metrics.samples import MOST_ADDED, Choice, Samples, merge

AGE, LATENCY = ("state.age",), ("api.latency", "check")


def test_few_samples_are_all_taken_with_three_decimals():
    samples = Samples(2)
    for value in (1.23456, 2.0):
        samples.add(AGE, value)
    samples.add(LATENCY, 3.0)
    assert samples.take() == {AGE: Choice([1.235, 2.0], 2), LATENCY: Choice([3.0], 1)}


def test_taken_samples_are_forgotten():
    samples = Samples(10)
    samples.add(AGE, 1.0)
    samples.take()
    assert samples.take() == {}


def test_of_many_a_random_choice_is_taken_with_its_share():
    """The choice has no order of time: its mean is that of all, and no sample is in it twice."""
    samples = Samples(400)
    for number in range(4000):
        samples.add(AGE, float(number))
    choice = samples.take()[AGE]
    assert (choice.rate, choice.total, len(set(choice.values))) == (0.1, 4000, 400)
    assert sum(choice.values) / 400 == pytest.approx(2000, abs=350)  # six standard errors


def test_a_flush_that_is_late_does_not_take_more_memory():
    """Of a long time without a flush, a choice is kept that still represents every sample."""
    samples = Samples(100)
    for number in range(3 * MOST_ADDED):
        samples.add(AGE, float(number))
    assert sum(map(len, samples._added.values())) < MOST_ADDED
    choice = samples.take()[AGE]
    assert (len(choice.values), choice.total) == (100, 3 * MOST_ADDED)


def test_what_was_not_delivered_is_chosen_from_again():
    samples = Samples(10)
    for _ in range(50):
        samples.add(AGE, 1.0)
    undelivered = samples.take()[AGE]
    for _ in range(50):
        samples.add(AGE, 2.0)
    samples.put_back(AGE, undelivered)
    choice = samples.take()[AGE]
    assert (len(choice.values), choice.total) == (10, 100)
    assert sorted(choice.values) == [1.0] * 5 + [2.0] * 5


choices = st.builds(
    lambda values, weight: Choice(values, len(values) * weight),
    st.lists(st.floats(0, 10), min_size=1, max_size=20),
    st.sampled_from([1, 1.5, 4, 1000]),
)


@given(choices, choices, st.integers(1, 30))
def test_a_choice_of_two_represents_all_samples_of_both(first, second, most):
    """Their totals are added up, no value appears from nowhere, and the bound holds."""
    both = merge(first, second, most)
    assert both.total == first.total + second.total
    assert 1 <= len(both.values) <= most
    assert set(both.values) <= {*first.values, *second.values}
    assert 0 < both.rate <= 1


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9))
def test_few_values_at_full_rate_stay_all(values):
    both = merge(Choice(values, len(values)), Choice([7.0], 1), 10)
    assert sorted(both.values) == sorted([*values, 7.0])


def test_a_choice_of_two_is_fair():
    """One of 900 samples has the same chance as one of 100, though both gave 50 values."""
    random.seed(5)
    shares = []
    for _ in range(300):
        both = merge(Choice([1.0] * 50, 900), Choice([0.0] * 50, 100), 50)
        shares.append(sum(both.values) / len(both.values))
    assert sum(shares) / len(shares) == pytest.approx(0.9, abs=0.005)


def test_a_metric_that_does_not_exist_is_an_error_where_it_is_measured():
    with pytest.raises(KeyError):
        Samples(1).add(("no.such",), 1.0)


def test_no_sample_is_lost_between_threads():
    samples, taken = Samples(256), []
    threads = [
        threading.Thread(target=lambda: [samples.add(AGE, 1.0) for _ in range(20_000)])
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += [choice.total for choice in samples.take().values()]
    for thread in threads:
        thread.join()
    taken += [choice.total for choice in samples.take().values()]
    assert sum(taken) == 40_000
