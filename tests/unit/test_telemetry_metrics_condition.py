"""A condition as DogStatsD: gauges, the service check, the event."""

import pytest

from dispatcher.domain.condition import Cause, Condition, Finding
from dispatcher.domain.condition_texts import TEXTS
from dispatcher.domain.events import ConditionJudged
from dispatcher.telemetry.metrics.condition import condition_event, condition_gauges, service_check

LONG = "bearer abcdefgh | \n" + 5000 * "x"
STATUSES = {"nobody is written to": 2, "nobody is delayed": 0}


def judged(cause, words="why", **evidence):
    """A change to a cause, with others beside it."""
    others = (Finding(Cause.DOUBTS_PENDING, LONG), Finding(Cause.TELEMETRY_LOSSY, "lost"))
    condition = Condition(Finding(cause, words, evidence), others)
    return ConditionJudged(condition, Cause.OK, f"docs/runbook.md#condition-{cause}")


@pytest.mark.parametrize("cause", Cause)
def test_the_gauges_name_one_cause(cause):
    """1 for it, 0 for all others."""
    values = dict(condition_gauges(judged(cause).condition))
    assert values == {("condition", one): int(one is cause) for one in Cause}


@pytest.mark.parametrize("cause", Cause)
def test_the_service_check_says_whether_people_are_written_to(cause):
    """Its message is one line without what separates fields, and has the cause."""
    name, status, message = service_check(judged(cause, LONG).condition)
    assert name == "dispatcher.can_send"
    assert status == STATUSES.get(TEXTS[cause].effect, 1)
    assert message.startswith(f"{cause}: ")
    assert not {"|", "\n"} & set(message)
    assert "abcdefgh" not in message


@pytest.mark.parametrize("cause", Cause)
def test_the_event_has_everything_and_fits(cause):
    """Datadog takes 4,000 characters of a text; the runbook is the last line of it."""
    event = judged(cause, LONG, correlation_id="c-1", missing="a:b", detail=LONG)
    title, text, alert_type = condition_event(event)
    assert title == TEXTS[cause].title
    assert len(title) <= 100
    assert len(text) <= 4000
    assert {"correlation_id: c-1", "missing: a:b"} <= set(text.splitlines())
    assert text.splitlines()[-1].endswith(f"#condition-{cause}")
    assert "Also: doubts_pending" in text
    assert "abcdefgh" not in text
    assert alert_type == {"P1": "error", "none": "info"}.get(TEXTS[cause].priority, "warning") or (
        cause is Cause.OK and alert_type == "success"
    )
    if cause in (Cause.SCOPE_MISSING, Cause.PERMISSION, Cause.DIVISION):
        assert f"Granted in: {TEXTS[cause].granted_in}" in text
