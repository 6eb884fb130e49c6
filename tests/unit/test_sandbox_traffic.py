"""Traffic without the client: guests who answer, conversations of others, each with its lag."""

import pytest

from dispatcher.sandbox.scenario.model import Analytics, TrafficRules
from dispatcher.sandbox.world.effect_log import Effect
from dispatcher.sandbox.world.message_archive import MessageArchive
from dispatcher.sandbox.world.traffic import MOST_ANSWERS, Traffic

FOREVER = 1e9


def made(lag=0.0, **rules):
    archive = MessageArchive(Analytics(lag_seconds=lag), 1)
    for number in range(200):
        effect = Effect("notified", f"active-{number}", None, "x", None, "Hello", 100.0)
        archive.add(effect, f"m-{number}")
    return Traffic(TrafficRules(**rules), archive, 1, 1000.0)


def test_without_traffic_nothing_happens():
    traffic = made()
    assert traffic.shown_answers("active-1", FOREVER) == []
    assert list(traffic.others(0, FOREVER, FOREVER)) == []


def test_a_guest_answers_again_and_again_and_analytics_are_late():
    """The time of an answer is its own; it is shown after the lag."""
    traffic = made(lag=3.0, answer_share=1.0, answer_seconds=5.0)
    assert [answer.time for answer in traffic.shown_answers("active-1", 112.9)] == [105.0]
    assert [answer.time for answer in traffic.shown_answers("active-1", 113.0)] == [105.0, 110.0]
    assert len(traffic.shown_answers("active-1", FOREVER)) == MOST_ANSWERS
    assert traffic.shown_answers("nobody-1", FOREVER) == []


def test_a_share_of_the_guests_answers():
    traffic = made(answer_share=0.25)
    names = [f"active-{number}" for number in range(200)]
    answering = [name for name in names if traffic.shown_answers(name, 106.0)]
    assert len(answering) == pytest.approx(50, abs=20)


def test_others_begin_and_end():
    """One in each period; first its beginning is shown, then its end."""
    traffic = made(lag=2.0, others_seconds=10.0)
    shown = list(traffic.others(1015, 1100, 1042.5))
    assert [other.began for other in shown] == [1020.0, 1030.0, 1040.0]
    assert [other.ended for other in shown] == [1021.0, 1031.0, None]
    assert list(traffic.others(1015, 1025, 1042.5)) == shown[:1]
    assert list(traffic.others(1015, 1100, 1021.9)) == []
