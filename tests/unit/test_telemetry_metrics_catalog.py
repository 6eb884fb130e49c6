"""The table of metrics."""

import re

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.status import FINAL, Reason, ScopeSource, Step
from dispatcher.telemetry.metrics.catalog import COUNTS, OUTCOMES, format_tags, zero_counts


def test_every_count_starts_with_a_zero():
    """No count is missing among the zeros, nor a source of scope errors, nor an outcome."""
    series = set(zero_counts())
    assert {key[0] for key in series} == set(COUNTS)
    assert {key[1] for key in series if key[0] == "scope_errors"} == set(ScopeSource)
    assert set(OUTCOMES) == FINAL
    assert {reason for reasons in OUTCOMES.values() for reason in reasons} == set(Reason)


@given(
    st.text().filter(lambda text: not re.fullmatch(r"[a-z][a-z_]{0,31}|[1-5]\d\d|[0-9]{1,2}", text))
)
def test_only_words_and_statuses_become_tags(text):
    """A value that somebody made up becomes ``other``."""
    assert format_tags(("api.requests", Step.CHECK, text)) == ["endpoint:check", "status:other"]
