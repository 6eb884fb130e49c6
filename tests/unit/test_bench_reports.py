"""The tables and promises of the benchmarks that compare and that grow."""

import pytest

from benchmarks import growth_report, versus_report
from benchmarks.alternatives.rows import ALONE, BARE, SDK

WORLDS = ("plain", "demo", "faults")


def row(name, *seconds, world="latency", dialect="genesys", **people):
    runs = [
        {"seconds": s, "cpu_seconds": s / 2, "requests": 200, "reached": 100, **people}
        for s in seconds
    ]
    return {"world": world, "dialect": dialect, "name": name, "contacts": 100, "runs": runs}


def test_a_row_has_medians_of_figures_and_sums_of_people():
    """Two of 300 were written to twice, one is missed, whom the ledger has in doubt."""
    cells = versus_report.cells(row(BARE.name, 1, 4, 2, twice=1, missed=2, in_doubt=1, wrong=0))
    assert cells[2:] == ["bare loop", "300", "50", "2.0", "10,000", "2.00", 3, "6 (3 in doubt)", 0]


@pytest.mark.parametrize(("seconds", "kept"), [((16, 8, 24), True), ((16, 7, 7), False)])
def test_the_sdk_is_compared_round_by_round(seconds, kept):
    """The median of the ratios decides."""
    rows = [row(ALONE.name, 1, 1, 1), row(SDK.name, *seconds)]
    broken = list(versus_report.broken_promises(rows))
    assert (broken == []) is kept


def test_other_worlds_are_not_compared_with_the_sdk():
    """A quota limits there, or nothing but CPU time counts."""
    rows = [row(name, 1, world=world) for name in (ALONE.name, SDK.name) for world in WORLDS]
    assert not list(versus_report.broken_promises(rows))


@pytest.mark.parametrize(
    ("people", "broken"),
    [
        ({}, 0),
        ({"missed": 1, "in_doubt": 1}, 0),
        ({"missed": 1}, 1),
        ({"twice": 1}, 1),
        ({"wrong": 1}, 1),
    ],
)
def test_the_dispatcher_promises_nobody_twice_and_nobody_missed(people, broken):
    """One that is missed must be in doubt in its ledger; the others promise nothing."""
    assert len(list(versus_report.broken_promises([row(ALONE.name, 1, **people)]))) == broken
    assert not list(versus_report.broken_promises([row(BARE.name, 1, **people)]))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.333, "0.33"), (4.064, "4.06"), (21.0, "21"), (234.4, "234"), (6260, "6,260")],
)
def test_a_figure_has_about_three_digits(value, text):
    """In the plot."""
    assert versus_report.shown(value) == text


def grown(*runs):
    sizes = {size: [{"seconds": 1.0, "cpu_us": us} for us in cpu] for size, cpu in runs}
    return {"part": "campaigns", "count": 1000, "sizes": sizes}


def test_growth_is_compared_round_by_round():
    """Speed changes between rounds: the median of the ratios counts, not the ratio of medians."""
    part = grown(("1", (100, 200, 300)), ("100", (110, 220, 330)))
    assert growth_report.ratios(part) == {"1": 1.0, "100": pytest.approx(1.1)}
    assert growth_report.rows(part)[1] == ["campaigns", "100", "1,000", "220", "1.10", "<= 1.3"]


@pytest.mark.parametrize(("cpu", "holds"), [(129.0, True), (131.0, False)])
def test_a_cost_that_grows_breaks_the_promise(cpu, holds, tmp_path, monkeypatch, capsys):
    """And the plot is drawn all the same."""
    part = grown(("1", [100.0]), ("100", [cpu]))
    monkeypatch.setattr(
        growth_report, "kept", lambda name: part if name.endswith("campaigns") else None
    )
    assert growth_report.report([part], tmp_path)["holds"] is holds
    assert f"| campaigns | 100 | 1,000 | {cpu:.0f} |" in capsys.readouterr().out
    assert "Campaigns in one run" in (tmp_path / "growth.svg").read_text()
