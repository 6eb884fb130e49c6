"""The failure table: the meaning of each answer of the platform, as a pure function."""

from enum import StrEnum

from dispatcher.domain.answer import Answer, Hint, NoAnswer, NoAnswerCause, Result
from dispatcher.domain.status import Step


class AnswerKind(StrEnum):
    """The meaning of an answer for the contact and for the run."""

    ACCEPTED = "accepted"
    """The state was read, or the message was taken."""
    UNAUTHORIZED = "unauthorized"
    """The token is not valid any more, or a scope error (401)."""
    FORBIDDEN = "forbidden"
    """A scope or permission is missing, or this contact is not accessible (403)."""
    CONFLICT = "conflict"
    """The state may have changed since the state check.

    A 409 on a send, which may also be a masked scope error until a newer token has the scopes; or
    a 400 on an open, if the person may have an open conversation.
    """
    CLOSED = "closed"
    """The session closed after the state check (400 with a message of its own)."""
    CHANNEL = "channel"
    """The channel does not permit proactive messages."""
    THROTTLED = "throttled"
    """Over quota (429)."""
    GONE = "gone"
    """The earlier conversation's id is not valid any more (404 on the state check)."""
    STALE = "stale"
    """The state has changed since the state check (404 on notify)."""
    REFUSED = "refused"
    """The platform refuses this contact: any other 4xx, and every 3xx."""
    NOT_SENT = "not_sent"
    """No byte of the request was sent."""
    PASSING = "passing"
    """A temporary fault on a read."""
    NOT_TAKEN = "not_taken"
    """The platform did not take the message (503 with the platform's own body)."""
    IN_DOUBT = "in_doubt"
    """The send may have taken effect; the result is not known."""


def classify(step: Step, result: Result) -> AnswerKind:
    """Return the meaning of ``result`` for ``step``."""
    if isinstance(result, NoAnswer):
        return _classify_no_answer(step, result)
    if 200 <= result.status < 300:
        return _classify_success(step, result)
    if result.status in _BY_STATUS:
        return _BY_STATUS[result.status]
    return _classify_send(step, result) if step.is_send else _classify_read(step, result)


_BY_STATUS = {401: AnswerKind.UNAUTHORIZED, 403: AnswerKind.FORBIDDEN, 429: AnswerKind.THROTTLED}


def _classify_no_answer(step: Step, result: NoAnswer) -> AnswerKind:
    if result.cause is NoAnswerCause.NOT_SENT:
        return AnswerKind.NOT_SENT
    return AnswerKind.IN_DOUBT if step.is_send else AnswerKind.PASSING


def _classify_success(step: Step, answer: Answer) -> AnswerKind:
    """Return ACCEPTED if the body has what the step needs."""
    if step is Step.CHECK:
        return AnswerKind.ACCEPTED if answer.conversation is not None else AnswerKind.PASSING
    if step.is_send:
        return AnswerKind.ACCEPTED if answer.conversation_id is not None else AnswerKind.IN_DOUBT
    found = answer.past_conversations if step is Step.LOOK_BACK else answer.conversations
    return AnswerKind.ACCEPTED if found is not None else AnswerKind.PASSING


def _classify_read(step: Step, answer: Answer) -> AnswerKind:
    if answer.status == 404 and step is Step.CHECK:
        return AnswerKind.GONE if answer.from_platform else AnswerKind.PASSING
    if answer.status >= 500 or answer.status == 408:
        return AnswerKind.PASSING
    return AnswerKind.REFUSED


_OPEN_CONVERSATION_HINTS = (Hint.ACTIVE, Hint.TALKING)


def _classify_send(step: Step, answer: Answer) -> AnswerKind:
    if answer.status == 409:
        return AnswerKind.CONFLICT
    if answer.status == 404 and step is Step.NOTIFY:
        return AnswerKind.STALE
    if answer.status == 400 and answer.hint is Hint.CLOSED and step is Step.NOTIFY:
        return AnswerKind.CLOSED
    if answer.status == 400 and answer.hint in _OPEN_CONVERSATION_HINTS and step is Step.OPEN:
        return AnswerKind.CONFLICT
    if answer.status == 400 and answer.hint is Hint.CHANNEL:
        return AnswerKind.CHANNEL
    if answer.status == 503 and answer.from_platform:
        return AnswerKind.NOT_TAKEN
    if answer.status >= 500 or answer.status == 408:
        return AnswerKind.IN_DOUBT
    return AnswerKind.REFUSED
