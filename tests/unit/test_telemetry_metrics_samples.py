"""Samples between two flushes."""

import threading

import pytest

from dispatcher.telemetry.metrics.samples import Samples

AGE, LATENCY = ("state.age",), ("api.latency", "check")


def test_few_samples_are_all_taken_with_three_decimals():
    samples = Samples()
    for value in (1.23456, 2.0):
        samples.add(AGE, value)
    samples.add(LATENCY, 3.0)
    assert list(samples.take(2)) == [(AGE, 1.0, [1.235, 2.0]), (LATENCY, 1.0, [3.0])]


def test_taken_samples_are_forgotten():
    samples = Samples()
    samples.add(AGE, 1.0)
    list(samples.take(10))
    assert list(samples.take(10)) == []


def test_of_many_a_random_choice_is_taken_with_its_share():
    """The choice has no order of time: its mean is that of all, and no sample is in it twice."""
    samples = Samples()
    for number in range(10_000):
        samples.add(AGE, float(number))
    ((key, share, values),) = samples.take(400)
    assert (key, share, len(set(values))) == (AGE, 0.04, 400)
    assert sum(values) / 400 == pytest.approx(5000, abs=900)  # six standard errors


def test_a_metric_that_does_not_exist_is_an_error_where_it_is_measured():
    with pytest.raises(KeyError):
        Samples().add(("no.such",), 1.0)


def test_no_sample_is_lost_between_threads():
    samples, taken = Samples(), []
    threads = [
        threading.Thread(target=lambda: [samples.add(AGE, 1.0) for _ in range(20_000)])
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += [len(values) for _, _, values in samples.take(1 << 30)]
    for thread in threads:
        thread.join()
    taken += [len(values) for _, _, values in samples.take(1 << 30)]
    assert sum(taken) == 40_000
