"""The table of metrics."""

import re

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.telemetry.metrics.catalog import COUNTS, OUTCOMES, format_tags, zero_counts
from dispatcher.domain.contact_counts import count_contacts
from dispatcher.domain.events import Gauges, LedgerState, SourceState
from dispatcher.domain.status import (
    FINAL,
    HaltReason,
    Irregularity,
    Reason,
    Resolution,
    RetryReason,
    ScopeSource,
    SendAnswer,
    Status,
    Step,
)
from dispatcher.telemetry.metrics.catalog import (
    COUNTS,
    GAUGES,
    METRICS,
    OUTCOMES,
    PER_CLIENT,
    format_tags,
    zero_counts,
from dispatcher.telemetry.metrics.gauge_series import GaugeSeries
from dispatcher.telemetry.metrics.halt_series import HaltSeries

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "datadog"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")

def test_every_count_starts_with_a_zero():
    """No count is missing among the zeros, nor a source of scope errors, nor an outcome."""
    series = set(zero_counts())
    assert {key[0] for key in series} == set(COUNTS)
    assert {key[1] for key in series if key[0] == "scope_errors"} == set(ScopeSource)
    assert set(OUTCOMES) == FINAL
    assert {reason for reasons in OUTCOMES.values() for reason in reasons} == set(Reason)


PLAIN = re.compile(r"[a-z][a-z_]{0,31}|[1-5]\d\d|\d\d?")


@given(st.text().filter(lambda text: not PLAIN.fullmatch(text)))
def test_only_words_and_statuses_become_tags(text):
    """A value that somebody made up becomes ``other``."""
    assert format_tags(("api.requests", Step.CHECK, text)) == ["endpoint:check", "status:other"]


def test_every_gauge_of_a_run_is_in_the_table():
    """Its name, and as many values as it has tags; none is left out."""
    by_status = dict.fromkeys(((status, None) for status in set(Status) - FINAL), 1)
    gauges = Gauges(
        1, 1, 1.0, 1.0, 0.5, contacts=count_contacts(by_status, 1, {"quiet_hours": 1}),
        source=SourceState(age=1.0), ledger=LedgerState(),
    )  # fmt: skip
    found = [key for key, _ in GaugeSeries().of(gauges)]
    found += [key for key, _ in HaltSeries((), lambda: 0.0).values()]
    for key in found:
        assert len(key) - 1 == len(GAUGES[key[0]]), key
        assert "other" not in {tag.partition(":")[2] for tag in format_tags(key)}, key
    assert len(set(found)) == len(found)
    sent_by_the_sink = {"requests.per_contact", "suppression.kept_last"}
    assert {key[0] for key in found} >= FACTS - sent_by_the_sink


FACTS = {
    "contacts.current", "quota.used", "quota.limit", "quota.own", "quota.others", "source.age",
    "source.ended", "requests.per_contact", "ledger.size", "ledger.disk_free", "ledger.commit",
    "loop.lag", "halted", "halted.seconds",
}  # fmt: skip


def test_halts_of_each_client_and_of_the_run_start_with_a_zero():
    """A pause is the campaign's, whatever the number of clients."""
    halts = {key[1:] for key in zero_counts(("north", "south")) if key[0] == "halts"}
    of_clients = {(reason, name) for reason in HaltReason for name in ("north", "south")}
    of_the_run = {(HaltReason.PAUSED,), (HaltReason.FAILURES,), (HaltReason.SUSPICIOUS,)}
    assert halts >= of_the_run
    assert halts - of_the_run == {key for key in of_clients if key[:1] not in of_the_run}
    assert {"halts", "halted", "halted.seconds"} <= PER_CLIENT


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_is_documented(name):
    """In a row of a table: with its tags, in its first cells."""
    table = OPERATIONS.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    row = re.search(rf"^\| `{re.escape(name)}` \|([^|]*)\|", table, re.MULTILINE)
    assert row is not None
    assert re.findall(r"`(\w+)`", row[1]) == list(METRICS[name])


@pytest.mark.parametrize(
    "values",
    [RetryReason, Reason, HaltReason, Irregularity, Resolution, ScopeSource, SendAnswer, Step],
)
def test_every_value_of_a_tag_is_documented(values):
    """Also one that is rare: who sees it on a dashboard looks for it there."""
    assert [value for value in values if not re.search(rf"\b{value}\b", OPERATIONS)] == []


def test_every_reason_of_a_retry_has_a_row():
    """In the table of reasons."""
    table = OPERATIONS.partition("### Reasons of retries")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(RetryReason)
