"""The next step after an outcome: bounded attempts, and loops that are found out."""

import pytest

from dispatcher.domain.answer import Answer, NoAnswer, NoAnswerCause
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import Finish, Open
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.next_step import (
    Defer,
    Recheck,
    Reconcile,
    after_absence,
    after_closed_session,
    after_conflict,
    after_read,
    after_send,
    after_stale_state,
    after_wait,
)
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, RetryReason, Status, Step

POLICY = RetryPolicy(max_attempts=3, loop_after=3, not_ended_seconds=5, backoff_seconds=1)
GUEST = Target("g-1", is_guest_id=True)
SENT = Open(GUEST, "x-1", "c-1")
RESET = NoAnswer(NoAnswerCause.RESET)


def full():
    """The jitter that takes nothing away."""
    return 1.0


def test_passing_faults_back_off_and_are_bounded():
    """Each attempt waits longer; the last one is parked as exhausted."""
    first = after_read(RESET, AnswerKind.PASSING, Progress(), POLICY, full)
    assert first == Defer(1.0, RetryReason.NO_ANSWER, Progress(attempts=1))
    second = after_read(Answer(500), AnswerKind.PASSING, Progress(attempts=1), POLICY, full)
    assert second == Defer(2.0, RetryReason.SERVER_ERROR, Progress(attempts=2))
    last = after_read(Answer(200), AnswerKind.PASSING, Progress(attempts=2), POLICY, full)
    assert last == Finish(Status.PARKED, Reason.EXHAUSTED)


@pytest.mark.parametrize("times", [1, 50])
def test_a_platform_that_is_down_costs_no_attempt(times):
    """However often nothing could leave."""
    progress = Progress()
    for _ in range(times):
        step = after_read(
            NoAnswer(NoAnswerCause.NOT_SENT), AnswerKind.NOT_SENT, progress, POLICY, full
        )
        assert isinstance(step, Defer)
        progress = step.progress
    assert progress == Progress()


def test_not_taken_waits_as_long_as_the_platform_says():
    """A 503 of the platform may name its own time."""
    answer = Answer(503, from_platform=True, retry_after=7.0)
    step = after_send(answer, AnswerKind.NOT_TAKEN, Step.OPEN, Progress(), POLICY, full)
    assert step == Defer(7.0, RetryReason.NOT_TAKEN, Progress(attempts=1))


def test_in_doubt_is_never_sent_again():
    """It is parked, with its reason."""
    step = after_send(RESET, AnswerKind.IN_DOUBT, Step.NOTIFY, Progress(), POLICY, full)
    assert step == Reconcile(Progress())


def test_a_closed_session_is_opened_next_with_what_is_known():
    """The check's guest is preferred to the refusal's address; no further check is made."""
    answer = Answer(400, address="from@example.org")
    conversation = Conversation("c-1", State.OPEN, "x-1", GUEST)
    step = after_closed_session(conversation, answer, Progress(), POLICY)
    assert isinstance(step, Defer)
    assert step.seconds == 5
    assert (step.progress.open_next, step.progress.target) == (True, GUEST)
    assert step.progress.external_contact_id == "x-1"
    unseen = after_closed_session(Conversation("c-1", State.OPEN), answer, Progress(), POLICY)
    assert isinstance(unseen, Defer)
    assert unseen.progress.target == Target("from@example.org", is_guest_id=False)


@pytest.mark.parametrize("refuse", [
    lambda progress: after_closed_session(None, Answer(400), progress, POLICY),
    lambda progress: after_stale_state(Step.NOTIFY, progress, POLICY),
])  # fmt: skip
def test_notify_refused_again_and_again_is_a_loop(refuse):
    """The third refusal of an open session is parked, not sent a fourth time."""
    progress = Progress()
    for _ in range(2):
        step = refuse(progress)
        assert isinstance(step, Defer | Recheck)
        progress = step.progress
    assert refuse(progress) == Finish(Status.PARKED, Reason.RETRY_LOOP)


def test_a_refused_link_is_judged_by_the_state():
    """Open again or not ended: an ordinary decision; another's identity: a person."""
    for state in (State.OPEN, State.CLOSED, State.UNKNOWN, State.GONE):
        conversation = Conversation("c-1", state, "x-1", GUEST)
        assert after_conflict(SENT, Answer(409), conversation, Progress(), POLICY) is None
    for identity in (None, "x-2"):
        conversation = Conversation("c-1", State.ENDED, identity, GUEST)
        parked = Finish(Status.PARKED, Reason.IDENTITY)
        assert after_conflict(SENT, Answer(409), conversation, Progress(), POLICY) == parked


def test_a_link_that_should_pass_and_never_does_is_a_loop():
    """Three refusals that nothing explains."""
    conversation, progress = Conversation("c-1", State.ENDED, "x-1", GUEST), Progress()
    for _ in range(2):
        step = after_conflict(SENT, Answer(409), conversation, progress, POLICY)
        assert isinstance(step, Defer)
        progress = step.progress
        assert progress.open_next
    assert after_conflict(SENT, Answer(409), conversation, progress, POLICY) == Finish(
        Status.PARKED, Reason.RETRY_LOOP
    )


def test_waiting_remembers_since_when():
    """The bound on sessions that never end counts from the first look."""
    first = after_wait(RetryReason.NOT_ENDED, Progress(), POLICY, 100.0, full)
    assert first.progress.not_ended_since == 100.0
    later = after_wait(RetryReason.NOT_ENDED, first.progress, POLICY, 160.0, full)
    assert later.progress.not_ended_since == 100.0


def test_backoff_is_bounded_and_never_shorter_than_half():
    """Exponential, with the jitter taking away half at most."""
    policy = RetryPolicy(backoff_seconds=1, backoff_max_seconds=60)
    assert [policy.backoff(n, full) for n in (1, 2, 3, 10, 500)] == [1, 2, 4, 60, 60]
    assert policy.backoff(3, lambda: 0.0) == 2.0


def test_a_message_that_was_not_taken_goes_back_to_the_state_check_with_a_bound():
    """Sends that are lost again and again come to an end as passing faults do."""
    before = Progress(open_next=True, sends=1)
    again = Progress(attempts=1, sends=1)
    assert after_absence(before, POLICY) == Defer(0.0, RetryReason.NOT_FOUND, again)
    last = after_absence(Progress(attempts=2), POLICY)
    assert last == Finish(Status.PARKED, Reason.EXHAUSTED)
