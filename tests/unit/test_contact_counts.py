"""Where all contacts are, and why they wait."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.contact_counts import ContactState, count_contacts
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import FINAL, Reason, RetryReason, Status
from dispatcher.domain.wait_counts import OTHER, WaitCounts, session_wait

NOW = 1000.25
REASONS = st.sampled_from(["quiet_hours", "not_ended", "throttled"])
DUES = st.floats(995.0, 1010.0)


def test_every_status_has_its_place():
    """Ready ones are due or wait; the final ones keep their reasons, of whatever status."""
    by_status = {
        (Status.READY, None): 7,
        (Status.CLAIMED, None): 2,
        (Status.SENDING, None): 1,
        (Status.IN_DOUBT, None): 4,
        (Status.NOTIFIED, Reason.DELIVERED): 10,
        (Status.OPENED, Reason.DELIVERED): 5,
        (Status.PARKED, Reason.IN_DOUBT): 3,
    }
    counts = count_contacts(by_status, 3, {"quiet_hours": 3, OTHER: 1})
    assert counts == {
        ("ready", "due"): 3,
        ("waiting", "quiet_hours"): 3,
        ("waiting", "other"): 1,
        ("in_flight", "claimed"): 2,
        ("in_flight", "sending"): 1,
        ("in_doubt", "look_back"): 4,
        ("final", "delivered"): 15,
        ("final", "in_doubt"): 3,
    }


@given(
    st.dictionaries(
        st.sampled_from(sorted(set(Status) - FINAL)).map(lambda status: (status, None))
        | st.tuples(st.sampled_from(sorted(FINAL)), st.sampled_from(Reason)),
        st.integers(0, 9),
    ),
    st.integers(0, 9),
)
def test_the_sum_is_always_all_contacts(by_status, due):
    """No status and no reason is left out, and none counts twice."""
    ready = by_status.get((Status.READY, None), 0)
    due = min(due, ready)
    counts = count_contacts(by_status, due, {OTHER: ready - due})
    assert sum(counts.values()) == sum(by_status.values())


def test_who_waits_is_known_by_reason_until_the_time_has_come():
    """Nothing has to say that a wait is over."""
    waits = WaitCounts()
    for due in (1001.5, 1002.5, 1002.7):
        waits.add("quiet_hours", due)
    waits.add("not_ended", 1003.0)
    assert waits.by_reason(4, NOW) == {"quiet_hours": 3, "not_ended": 1}
    assert waits.by_reason(3, 1002.0) == {"quiet_hours": 2, "not_ended": 1}
    assert waits.by_reason(1, 1003.0) == {"not_ended": 1}
    assert waits.by_reason(0, 1004.0) == {}


def test_who_stops_to_wait_before_is_taken_out():
    """A look that comes early, also one of which nothing was known."""
    waits = WaitCounts()
    waits.add("not_ended", 1005.0)
    waits.remove("engaged", 1005.0)
    waits.remove("not_ended", 1009.0)
    assert waits.by_reason(1, NOW) == {"not_ended": 1}
    waits.remove("not_ended", 1005.9)
    assert waits.by_reason(0, NOW) == {}


def test_what_is_not_known_is_other():
    """An earlier run has put some off, and an operator has put some back."""
    waits = WaitCounts()
    waits.add("throttled", 1005.0)
    assert waits.by_reason(4, NOW) == {"throttled": 1, OTHER: 3}
    waits.add("throttled", 1006.0, 5)
    assert waits.by_reason(2, NOW) == {"throttled": 2}


@given(
    st.lists(st.tuples(st.booleans(), REASONS, DUES), max_size=30),
    st.integers(0, 40),
    st.floats(990.0, 1015.0),
)
def test_reasons_always_add_up_to_the_ledgers_number(changes, waiting, now):
    """Whatever was noted, the sum is what the ledger says, and no part is below 0."""
    waits = WaitCounts()
    for is_new, reason, due in changes:
        (waits.add if is_new else waits.remove)(reason, due)
    for _ in range(2):
        found = waits.by_reason(waiting, now)
        assert sum(found.values()) == waiting
        assert min(found.values(), default=1) > 0


@given(st.lists(st.tuples(REASONS, DUES), max_size=30), st.integers(990, 1015))
def test_whole_seconds_are_exact(added, now):
    """Where no contact is due in the present second, each reason has just its own."""
    waits = WaitCounts()
    for reason, due in added:
        waits.add(reason, due)
    left = Counter(reason for reason, due in added if due >= now)
    assert waits.by_reason(left.total(), float(now)) == left


def test_why_a_session_is_waited_for():
    """The person is engaged, or the session has not ended; the former is newer."""
    assert session_wait(Progress(not_ended_since=1.0)) is RetryReason.NOT_ENDED
    assert session_wait(Progress(not_ended_since=1.0, engaged_since=2.0)) is RetryReason.ENGAGED
    assert ContactState.WAITING == "waiting"


def test_spans_say_until_when_contacts_of_each_reason_wait():
    """The first and the last due time of each reason, without those that do not wait any more."""
    waiting = WaitCounts()
    for reason, due in (("a", 30.5), ("a", 10.2), ("b", 20.0), ("a", 40.0)):
        waiting.add(reason, due)
    waiting.remove("a", 40.0)
    assert waiting.spans() == {"a": (10, 30), "b": (20, 20)}
    waiting.by_reason(3, 15.0)  # the time of one has come
    assert waiting.spans() == {"a": (30, 30), "b": (20, 20)}
