"""The failure table: what each answer of the platform means, for each step."""

import pytest

from dispatcher.domain.answer import Answer, Hint, NoAnswer, NoAnswerCause
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step

SENDS = (Step.NOTIFY, Step.OPEN)
STATE = Conversation("c-1", State.ENDED)


def own(status, **more):
    """An answer with the platform's own JSON body."""
    return Answer(status, from_platform=True, **more)


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AnswerKind.UNAUTHORIZED), (403, AnswerKind.FORBIDDEN), (429, AnswerKind.THROTTLED)],
)
def test_what_concerns_the_run_is_so_for_every_step(step, status, kind):
    """401, 403 and 429 concern the run, with any body."""
    assert classify(step, own(status)) is kind
    assert classify(step, Answer(status)) is kind


@pytest.mark.parametrize("step", SENDS)
@pytest.mark.parametrize("status", [500, 502, 504, 408, 599])
@pytest.mark.parametrize("from_platform", [True, False])
def test_a_send_without_a_clear_refusal_is_in_doubt(step, status, from_platform):
    """A server error on a send may hide a message that took effect."""
    assert classify(step, Answer(status, from_platform=from_platform)) is AnswerKind.IN_DOUBT


@pytest.mark.parametrize("step", SENDS)
def test_only_the_platforms_own_503_says_not_taken(step):
    """A 503 of something in between proves nothing about the message."""
    assert classify(step, own(503)) is AnswerKind.NOT_TAKEN
    assert classify(step, Answer(503)) is AnswerKind.IN_DOUBT


@pytest.mark.parametrize("step", SENDS)
@pytest.mark.parametrize("loss", [NoAnswerCause.RESET, NoAnswerCause.TIMEOUT])
def test_a_send_without_an_answer_is_in_doubt(step, loss):
    """A reset and a time-out come after bytes have left."""
    assert classify(step, NoAnswer(loss)) is AnswerKind.IN_DOUBT


@pytest.mark.parametrize("step", list(Step))
def test_what_never_left_is_not_in_doubt(step):
    """A refused connection, DNS or TLS fault leaves nothing at the platform."""
    assert classify(step, NoAnswer(NoAnswerCause.NOT_SENT)) is AnswerKind.NOT_SENT


@pytest.mark.parametrize("step", SENDS)
def test_success_needs_a_readable_id(step):
    """A 2xx whose body names nothing settles nothing."""
    assert classify(step, own(202, conversation_id="c-2")) is AnswerKind.ACCEPTED
    assert classify(step, own(202)) is AnswerKind.IN_DOUBT
    assert classify(step, Answer(200)) is AnswerKind.IN_DOUBT


def test_a_closed_session_is_known_by_its_message_and_only_on_notify():
    """400 has many meanings; only the hint makes it a conflict."""
    refusal = own(400, hint=Hint.CLOSED)
    assert classify(Step.NOTIFY, refusal) is AnswerKind.CLOSED
    assert classify(Step.OPEN, refusal) is AnswerKind.REFUSED
    assert classify(Step.NOTIFY, own(400)) is AnswerKind.REFUSED


@pytest.mark.parametrize("step", SENDS)
def test_a_channel_without_proactive_messages(step):
    """The platform's message distinguishes it from other refusals."""
    assert classify(step, own(400, hint=Hint.CHANNEL)) is AnswerKind.CHANNEL


@pytest.mark.parametrize("step", SENDS)
def test_409_on_a_send_is_a_conflict_until_scopes_are_known(step):
    """The same body hides four causes."""
    assert classify(step, own(409)) is AnswerKind.CONFLICT


def test_404_means_gone_on_a_check_stale_on_notify_and_refused_on_open():
    """The same status, three meanings; one from something in between is no proof of gone."""
    assert classify(Step.CHECK, own(404)) is AnswerKind.GONE
    assert classify(Step.CHECK, Answer(404)) is AnswerKind.PASSING
    assert classify(Step.NOTIFY, own(404)) is AnswerKind.STALE
    assert classify(Step.OPEN, own(404)) is AnswerKind.REFUSED


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("status", [301, 302, 307, 308, 405, 410, 422])
def test_redirects_and_other_refusals_end_the_contact(step, status):
    """Redirects are never followed, and what the platform refuses is not repeated."""
    assert classify(step, own(status)) is AnswerKind.REFUSED


@pytest.mark.parametrize(
    "result", [own(500), Answer(502), NoAnswer(NoAnswerCause.RESET), own(200), own(408)]
)
def test_a_read_that_fails_is_likely_to_pass(result):
    """A read has no effect, so every fault on it may be tried again."""
    assert classify(Step.CHECK, result) is AnswerKind.PASSING


def test_a_read_state_is_accepted():
    """A check with a state."""
    assert classify(Step.CHECK, own(200, conversation=STATE)) is AnswerKind.ACCEPTED


@pytest.mark.parametrize("step", list(Step))
def test_no_answer_is_without_a_meaning(step):
    """Whatever status comes, it is classified, and without ids or a state none is accepted."""
    for status in range(100, 600):
        assert classify(step, own(status)) in set(AnswerKind) - {AnswerKind.ACCEPTED}
