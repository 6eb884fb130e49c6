"""What a record is enough for: a state that was read with others, from the platform's analytics.

A record may be stale, and it lacks what only a state check shows. Nothing becomes final by it. See
the table in docs/architecture.md.
"""

from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import BargeIn, DecisionPolicy, Notify, Open, Wait, decide
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.ids import same_id
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import RetryReason, Step
from dispatcher.engine.in_flight import InFlight

_OVER = (State.ENDED, State.RESUMABLE)
_REFUSED = 4
"""The first digit of the HTTP statuses of refusals."""


def may_share(in_flight: InFlight, policy: DecisionPolicy) -> bool:
    """Return True if a record may be enough for the contact's next decision.

    After a send that was refused it must be newer than the record that the send was based on, so
    there must be one. A state that was read individually after an earlier refusal of
    the same open needs no individual read again, until the contact would be parked as a loop.
    """
    progress = in_flight.progress
    if progress == NEW:
        return True
    if in_flight.alone or progress.attempts or progress.suspected is not None:
        return False
    if in_flight.record is not None:
        return True
    if in_flight.has_sent:
        return _is_between_conflicts(progress, policy)
    return in_flight.conversation is None


def _is_between_conflicts(progress: Progress, policy: DecisionPolicy) -> bool:
    return 0 < progress.refusals_open < policy.retry.loop_after - 1


def may_wait_for_end(in_flight: InFlight, policy: DecisionPolicy) -> bool:
    """Return True if a record may show that it is too early for the open that is next.

    That is so after a notify to a closed session, although the refusal of one without a state check
    is not counted. After a refused open only a state check shows more.
    """
    progress = in_flight.progress
    return progress.open_next and not progress.refusals_open and may_share(in_flight, policy)


def is_sufficient(
    in_flight: InFlight,
    record: Conversation,
    policy: DecisionPolicy,
    now: float,
    *,
    may_send: bool,
) -> bool:
    """Return True if a record is enough for its decision; ``now`` is in seconds since the epoch.

    Unless ``may_send``, it is not enough for a send.
    """
    progress = in_flight.progress
    if in_flight.has_sent and not _explains_refusal(in_flight.record, record):
        return _repeats_conflict(record, progress, policy)
    match decide(in_flight.contact, record, progress, policy, now):
        case Wait(RetryReason.UNKNOWN_STATE):
            return progress.unknown > 0
        case Wait():
            return not progress.unknown
        case Notify():
            return may_send and _may_notify(record, progress, policy)
        case Open():
            return may_send and not progress.refusals(Step.OPEN)
        case _:
            return False


def opens_to_row(record: Conversation, policy: DecisionPolicy) -> bool:
    """Return True if an open that rests on ``record`` goes to the row's address."""
    return policy.needs_address and record.state in _OVER and record.target is None


def is_final(
    step: Step, kind: AnswerKind, status: int, record: Conversation, policy: DecisionPolicy
) -> bool:
    """Return True if a refusal of a send that rested on a record may make the contact final.

    A channel is refused whatever the state is. A message that is refused for itself is final, too,
    unless it was sent to the row's address, and a state check might show another recipient. A
    redirect says nothing about the recipient.
    """
    if kind is AnswerKind.CHANNEL:
        return True
    by_row = step is Step.OPEN and policy.needs_address and record.target is None
    return kind is AnswerKind.REFUSED and not (by_row and status // 100 == _REFUSED)


def _may_notify(record: Conversation, progress: Progress, policy: DecisionPolicy) -> bool:
    """Return True if a record that shows an open session is enough to send into it.

    After any other state it may be an old one. Who is in the session must be read individually,
    and so must whose session it is if the record does not say.
    """
    if policy.barge_in is BargeIn.CUSTOMER_ONLY or record.external_contact_id is None:
        return False
    changed = progress.not_ended_since is not None or progress.unknown > 0
    return not changed and not progress.refusals(Step.NOTIFY)


def _repeats_conflict(record: Conversation, progress: Progress, policy: DecisionPolicy) -> bool:
    """Return True if a record shows, as the check after an earlier refusal did, an ended session.

    Then the refusal is counted and the open is tried again. Before the contact is parked the state
    is read individually.
    """
    person = record.external_contact_id
    is_same = person is not None and same_id(person, progress.external_contact_id)
    return _is_between_conflicts(progress, policy) and record.state in _OVER and is_same


def _explains_refusal(before: Conversation | None, record: Conversation) -> bool:
    """Return True if a record is newer than the one that the refused send rested on."""
    if before is None:
        return False
    if before.state is State.OPEN:
        return record.state in (State.CLOSED, *_OVER)
    return before.state in _OVER and record.state in (State.OPEN, State.CLOSED)
