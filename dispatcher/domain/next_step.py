"""The next step of a contact after an outcome: finish, defer, recheck or reconcile."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dispatcher.domain.answer import Answer, Hint, NoAnswer, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import DecisionPolicy, Finish, Open, permits_barge_in
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.ids import same_id
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, RetryReason, Status, Step

SUCCESS = 2
"""The first digit of the HTTP statuses of success."""

MIN_RECHECK_SECONDS = 1.0
"""Pause until the next state check of a session that permits no send yet, if the setting is 0."""

LONGEST_PAUSE = 30
"""How many times its setting the pause until the next look at a session can become."""
PART_OF_WAIT = 0.5
"""The part of the time waited so far that the next pause is at least, up to `LONGEST_PAUSE`."""

BAD_REQUEST = 400
"""The HTTP status of a refusal that states its cause; unlike 409 it masks no missing scope."""

Jitter = Callable[[], float]
"""Returns a number from 0 to 1: random in a run, fixed in a test."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Try the contact again after ``seconds``."""

    seconds: float
    reason: RetryReason
    progress: Progress


@dataclass(frozen=True, slots=True)
class Recheck:
    """Check the state again at once."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Reconcile:
    """It is not known whether the message was taken: a look back must find out first."""

    progress: Progress


NextStep = Finish | Defer | Recheck | Reconcile


def after_wait(
    reason: RetryReason, progress: Progress, policy: RetryPolicy, now: float, jitter: Jitter
) -> Defer:
    """Return the step after `Wait`: until the session ends, or the state is known."""
    if reason is RetryReason.NOT_ENDED:
        since = now if progress.not_ended_since is None else progress.not_ended_since
        limit = policy.not_ended_max_seconds
        seconds = pause(policy.not_ended_seconds, now - since, limit)
        return Defer(seconds, reason, replace(progress, not_ended_since=since))
    seconds = policy.unknown_pause(progress.unknown, jitter)
    unknown = policy.next_unknown(progress.unknown)
    return Defer(seconds, reason, replace(progress, unknown=unknown))


def pause(setting: float, waited: float, limit: float) -> float:
    """Return the seconds until the next look at a session that was waited for so long.

    Pauses grow with the time waited. None goes past ``limit``, after which the contact is parked.
    """
    shortest = setting or MIN_RECHECK_SECONDS
    grown = max(shortest, min(waited * PART_OF_WAIT, shortest * LONGEST_PAUSE))
    left = limit - waited
    return max(MIN_RECHECK_SECONDS, min(grown, left)) if left < grown else grown


def after_engaged(
    contact: Contact, progress: Progress, policy: DecisionPolicy, now: float
) -> Defer:
    """Return the step after `Wait` for an open session that does not permit a send.

    The contact is due when it expires, if that is earlier. ``now`` is in seconds since the epoch.
    """
    since = now if progress.engaged_since is None else progress.engaged_since
    seconds = pause(policy.engaged_seconds, now - since, policy.engaged_max_seconds)
    if contact.expires_at is not None:
        seconds = max(0.0, min(seconds, contact.expires_at - now))
    return Defer(seconds, RetryReason.ENGAGED, replace(progress, engaged_since=since))


def forget_engaged(
    progress: Progress, conversation: Conversation, policy: DecisionPolicy
) -> Progress:
    """Reset ``engaged_since`` if the conversation permits a send, or is not open any more."""
    if progress.engaged_since is None:
        return progress
    if conversation.state is State.OPEN and not permits_barge_in(policy, conversation):
        return progress
    return replace(progress, engaged_since=None)


def after_read(
    result: Result, kind: AnswerKind, progress: Progress, policy: RetryPolicy, jitter: Jitter
) -> NextStep:
    """Return the step after a state check without a state."""
    if kind is AnswerKind.REFUSED:
        return Finish(Status.REJECTED, Reason.REFUSED)
    if kind is AnswerKind.NOT_SENT:
        return Defer(policy.backoff(1, jitter), RetryReason.NOT_SENT, progress)
    if isinstance(result, NoAnswer):
        reason = RetryReason.NO_ANSWER
    else:
        success = result.status // 100 == SUCCESS
        reason = RetryReason.NONSENSE if success else RetryReason.SERVER_ERROR
    return _defer_attempt(reason, progress, policy, jitter, None)


def after_send(
    result: Result,
    kind: AnswerKind,
    step: Step,
    progress: Progress,
    policy: RetryPolicy,
    jitter: Jitter,
) -> NextStep:
    """Return the step after a send that was not accepted, from the answer alone."""
    match kind:
        case AnswerKind.NOT_SENT:
            return Defer(policy.backoff(1, jitter), RetryReason.NOT_SENT, progress)
        case AnswerKind.NOT_TAKEN:
            seconds = result.retry_after if isinstance(result, Answer) else None
            return _defer_attempt(RetryReason.NOT_TAKEN, progress, policy, jitter, seconds)
        case AnswerKind.CHANNEL:
            return Finish(Status.REJECTED, Reason.CHANNEL)
        case AnswerKind.IN_DOUBT:
            return Reconcile(progress)
        case AnswerKind.STALE | AnswerKind.CONFLICT:
            return after_stale_state(step, progress, policy)
        case _:
            return Finish(Status.REJECTED, Reason.REFUSED)


def after_closed_session(
    conversation: Conversation | None, answer: Answer, progress: Progress, policy: RetryPolicy
) -> NextStep:
    """Return the step after a notify to a closed session: an open without a state check.

    The recipient is stored with it: that of the state check, else the address in the refusal.
    """
    counted = progress.count_refusal(Step.NOTIFY)
    if counted.refusals(Step.NOTIFY) >= policy.loop_after:
        return Finish(Status.PARKED, Reason.RETRY_LOOP)
    known = conversation or progress
    target = known.target
    if target is None and answer.address:
        target = Target(answer.address, is_guest_id=False)
    person = known.external_contact_id
    again = replace(counted, open_next=True, target=target, external_contact_id=person)
    return Defer(policy.not_ended_seconds, RetryReason.CONFLICT, again)


def after_stale_state(step: Step, progress: Progress, policy: RetryPolicy) -> NextStep:
    """Return the step after a send that shows that the state has changed since its check."""
    counted = progress.count_refusal(step)
    if counted.refusals(step) >= policy.loop_after:
        return Finish(Status.PARKED, Reason.RETRY_LOOP)
    return Recheck(replace(counted, open_next=False))


def after_open_conflict(
    refused: Open, answer: Answer, progress: Progress, policy: RetryPolicy
) -> NextStep:
    """Return the step after an open that was refused because of another state: a recheck.

    A 400 counts as an attempt: a state that changes back and forth must not repeat it forever.
    """
    if not is_about_contact(answer):
        if refused.previous:
            return Recheck(progress)
        return after_stale_state(Step.OPEN, progress, policy)
    if refused.previous is None:  # a conversation that is gone has no state to read
        return Finish(Status.REJECTED, Reason.REFUSED)
    attempts = progress.attempts + 1
    if attempts >= policy.max_attempts:
        return Finish(Status.PARKED, Reason.EXHAUSTED)
    return Recheck(replace(progress, attempts=attempts))


def is_about_contact(answer: Answer) -> bool:
    """Return True if a refused open concerns this contact, unless its state explains the refusal.

    That is a 400, except if it says that the person has an open conversation: like a 409, that
    is temporary.
    """
    return answer.status == BAD_REQUEST and answer.hint is not Hint.TALKING


def after_conflict(
    refused: Open,
    answer: Answer,
    conversation: Conversation,
    progress: Progress,
    policy: RetryPolicy,
) -> NextStep | None:
    """Return the step after a refused open and the state check that followed it.

    None: the state explains the refusal, and the usual decision follows.
    """
    if conversation.state not in (State.ENDED, State.RESUMABLE):
        return None
    if is_about_contact(answer):
        return Finish(Status.REJECTED, Reason.REFUSED)
    person = refused.external_contact_id
    if person is not None and not same_id(person, conversation.external_contact_id):
        return Finish(Status.PARKED, Reason.IDENTITY)
    counted = progress.count_refusal(Step.OPEN)
    if counted.refusals(Step.OPEN) >= policy.loop_after:
        return Finish(Status.PARKED, Reason.RETRY_LOOP)
    again = replace(
        counted,
        open_next=True,
        target=conversation.target,
        external_contact_id=conversation.external_contact_id,
    )
    return Defer(policy.not_ended_seconds, RetryReason.CONFLICT, again)


def after_absence(progress: Progress, policy: RetryPolicy) -> Finish | Defer:
    """Return the step after proof that a message was not taken: a state check, up to the limit."""
    attempts = progress.attempts + 1
    if attempts >= policy.max_attempts:
        return Finish(Status.PARKED, Reason.EXHAUSTED)
    again = replace(progress, attempts=attempts, open_next=False, doubted_at=None)
    return Defer(0.0, RetryReason.NOT_FOUND, again)


def _defer_attempt(
    reason: RetryReason,
    progress: Progress,
    policy: RetryPolicy,
    jitter: Jitter,
    seconds: float | None,
) -> NextStep:
    attempts = progress.attempts + 1
    if attempts >= policy.max_attempts:
        return Finish(Status.PARKED, Reason.EXHAUSTED)
    seconds = seconds if seconds is not None else policy.backoff(attempts, jitter)
    return Defer(seconds, reason, replace(progress, attempts=attempts))
