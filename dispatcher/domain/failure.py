"""What the platform's answer means. The table of this project, as a pure function."""

from enum import StrEnum

from dispatcher.domain.answer import Answer, Hint, NoAnswer, NoAnswerCause, Result
from dispatcher.domain.status import Step


class AnswerKind(StrEnum):
    """What an answer means for the contact and for the run."""

    ACCEPTED = "accepted"
    """A state was read, or a message was taken."""
    UNAUTHORIZED = "unauthorized"
    """The token is gone, or a scope error (401)."""
    FORBIDDEN = "forbidden"
    """A scope or permission is missing, or this contact is out of reach (403)."""
    CONFLICT = "conflict"
    """The session may be in another state than the one that was read.

    A 409 on a send, which is a masked scope error until a newer token proves otherwise; or a 400
    to an open that says that the person may be in an open conversation.
    """
    CLOSED = "closed"
    """The session closed after the state check (400 with its own words)."""
    CHANNEL = "channel"
    """The channel has no proactive messages."""
    THROTTLED = "throttled"
    """Over quota (429)."""
    GONE = "gone"
    """The old conversation's id is not valid any more (404 on the state check)."""
    STALE = "stale"
    """The state that was read is no longer true (404 on notify)."""
    REFUSED = "refused"
    """This contact cannot be sent: any other 4xx, and every 3xx."""
    NOT_SENT = "not_sent"
    """No byte of the request left."""
    PASSING = "passing"
    """A fault on a read that is likely to pass."""
    NOT_TAKEN = "not_taken"
    """The platform itself says that it did not take the send (503 with its own body)."""
    IN_DOUBT = "in_doubt"
    """The send may have taken effect and nobody said so."""


def classify(step: Step, result: Result) -> AnswerKind:
    """Tell what ``result`` of ``step`` means."""
    if isinstance(result, NoAnswer):
        return _without_answer(step, result)
    if 200 <= result.status < 300:
        return _success(step, result)
    always = _ALWAYS.get(result.status)
    if always is not None:
        return always
    return _send(step, result) if step.is_send else _read(step, result)


_ALWAYS = {401: AnswerKind.UNAUTHORIZED, 403: AnswerKind.FORBIDDEN, 429: AnswerKind.THROTTLED}


def _without_answer(step: Step, result: NoAnswer) -> AnswerKind:
    if result.cause is NoAnswerCause.NOT_SENT:
        return AnswerKind.NOT_SENT
    return AnswerKind.IN_DOUBT if step.is_send else AnswerKind.PASSING


def _success(step: Step, answer: Answer) -> AnswerKind:
    if step is Step.CHECK:
        return AnswerKind.ACCEPTED if answer.conversation is not None else AnswerKind.PASSING
    if step is Step.LOOK_BACK:
        return AnswerKind.ACCEPTED if answer.past_conversations is not None else AnswerKind.PASSING
    if step is Step.CHECK_MANY:
        return AnswerKind.ACCEPTED if answer.conversations is not None else AnswerKind.PASSING
    return AnswerKind.ACCEPTED if answer.conversation_id is not None else AnswerKind.IN_DOUBT


def _read(step: Step, answer: Answer) -> AnswerKind:
    if answer.status == 404 and step is Step.CHECK:
        return AnswerKind.GONE if answer.from_platform else AnswerKind.PASSING
    if answer.status >= 500 or answer.status == 408:
        return AnswerKind.PASSING
    return AnswerKind.REFUSED


_ABOUT_THE_PERSON = (Hint.ACTIVE, Hint.TALKING)


def _send(step: Step, answer: Answer) -> AnswerKind:
    if answer.status == 409:
        return AnswerKind.CONFLICT
    if answer.status == 404 and step is Step.NOTIFY:
        return AnswerKind.STALE
    if answer.status == 400 and answer.hint is Hint.CLOSED and step is Step.NOTIFY:
        return AnswerKind.CLOSED
    if answer.status == 400 and answer.hint in _ABOUT_THE_PERSON and step is Step.OPEN:
        return AnswerKind.CONFLICT
    if answer.status == 400 and answer.hint is Hint.CHANNEL:
        return AnswerKind.CHANNEL
    if answer.status == 503 and answer.from_platform:
        return AnswerKind.NOT_TAKEN
    if answer.status >= 500 or answer.status == 408:
        return AnswerKind.IN_DOUBT
    return AnswerKind.REFUSED
