"""The next step after an outcome: settle, look at the state again, or wait in the ledger."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dispatcher.domain.answer import Answer, Hint, NoAnswer, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import DecisionPolicy, Open, permits_barge_in
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, RetryReason, Status, Step

SUCCESS = 2
"""The first digit of an HTTP status that tells success."""

MIN_RECHECK_SECONDS = 1.0
"""How soon a session is looked at again that cannot be written to yet, where the setting is 0."""

BAD_REQUEST = 400
"""The HTTP status of a refusal that names its own cause: no scope is masked by it."""

Jitter = Callable[[], float]
"""Gives a number from 0 to 1; random in a run, fixed in a test."""


@dataclass(frozen=True, slots=True)
class Settle:
    """The contact is final."""

    status: Status
    reason: Reason


@dataclass(frozen=True, slots=True)
class Defer:
    """Put the contact back into the ledger for ``seconds``."""

    seconds: float
    reason: RetryReason
    progress: Progress


@dataclass(frozen=True, slots=True)
class Recheck:
    """Read the state again, at once."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Nobody knows whether the message was taken: the platform is asked before anything else."""

    progress: Progress


NextStep = Settle | Defer | Recheck | Reconcile


def after_wait(
    reason: RetryReason, progress: Progress, policy: RetryPolicy, now: float, jitter: Jitter
) -> Defer:
    """Follow a decision to wait: for a session to end, or for a state to become known."""
    if reason is RetryReason.NOT_ENDED:
        since = now if progress.not_ended_since is None else progress.not_ended_since
        seconds = policy.not_ended_seconds or MIN_RECHECK_SECONDS
        return Defer(seconds, reason, replace(progress, not_ended_since=since))
    unknown = progress.unknown + 1
    return Defer(policy.backoff(unknown, jitter), reason, replace(progress, unknown=unknown))


def after_engaged(contact: Contact, progress: Progress, rules: DecisionPolicy, now: float) -> Defer:
    """Follow a decision to wait while a session is open that is not to be written into.

    The contact is due again when it expires, if that is earlier. ``now`` is in seconds since
    the epoch.
    """
    since = now if progress.engaged_since is None else progress.engaged_since
    seconds = rules.engaged_seconds or MIN_RECHECK_SECONDS
    if contact.expires_at is not None:
        seconds = max(0.0, min(seconds, contact.expires_at - now))
    return Defer(seconds, RetryReason.ENGAGED, replace(progress, engaged_since=since))


def forget_engaged(progress: Progress, seen: Conversation, rules: DecisionPolicy) -> Progress:
    """Forget since when a session was not to be written into, once it is ``seen`` otherwise."""
    if progress.engaged_since is None:
        return progress
    if seen.state is State.OPEN and not permits_barge_in(rules, seen):
        return progress
    return replace(progress, engaged_since=None)


def after_read(
    result: Result, kind: AnswerKind, progress: Progress, policy: RetryPolicy, jitter: Jitter
) -> NextStep:
    """Follow a state check that told no state."""
    if kind is AnswerKind.REFUSED:
        return Settle(Status.REJECTED, Reason.REFUSED)
    if kind is AnswerKind.NOT_SENT:
        return _not_sent(progress, policy, jitter)
    return _attempt(_passing_reason(result), progress, policy, jitter, None)


def after_send(
    result: Result,
    kind: AnswerKind,
    step: Step,
    progress: Progress,
    policy: RetryPolicy,
    jitter: Jitter,
) -> NextStep:
    """Follow a send that was not accepted, where no question to the platform is needed."""
    match kind:
        case AnswerKind.NOT_SENT:
            return _not_sent(progress, policy, jitter)
        case AnswerKind.NOT_TAKEN:
            told = result.retry_after if isinstance(result, Answer) else None
            return _attempt(RetryReason.NOT_TAKEN, progress, policy, jitter, told)
        case AnswerKind.CHANNEL:
            return Settle(Status.REJECTED, Reason.CHANNEL)
        case AnswerKind.IN_DOUBT:
            return Reconcile(progress)
        case AnswerKind.STALE | AnswerKind.CONFLICT:
            return after_stale_state(step, progress, policy)
        case _:
            return Settle(Status.REJECTED, Reason.REFUSED)


def after_closed_session(
    conversation: Conversation | None, answer: Answer, progress: Progress, policy: RetryPolicy
) -> NextStep:
    """Follow a notify that found the session closed: open linked is next, without a check.

    What is known of the guest is kept: the state check's guest stands before the address that
    the refusal tells.
    """
    counted = progress.count_refusal(Step.NOTIFY)
    if counted.refusals(Step.NOTIFY) >= policy.loop_after:
        return Settle(Status.PARKED, Reason.RETRY_LOOP)
    told = conversation.target if conversation else progress.target
    if told is None and answer.address:
        told = Target(answer.address, is_guest_id=False)
    identity = conversation.external_contact_id if conversation else progress.external_contact_id
    learnt = replace(counted, open_next=True, target=told, external_contact_id=identity)
    return Defer(policy.not_ended_seconds, RetryReason.CONFLICT, learnt)


def after_stale_state(step: Step, progress: Progress, policy: RetryPolicy) -> NextStep:
    """Follow a notify that shows that the state read is no longer true."""
    counted = progress.count_refusal(step)
    if counted.refusals(step) >= policy.loop_after:
        return Settle(Status.PARKED, Reason.RETRY_LOOP)
    return Recheck(replace(counted, open_next=False))


def after_open_conflict(
    sent: Open, answer: Answer, progress: Progress, policy: RetryPolicy
) -> NextStep:
    """Follow an open that met a session in another state: that is read again and decides.

    A 400 that the state explains each time has an end all the same: the person comes and goes.
    """
    if not is_contacts_own(answer):
        return (
            Recheck(progress) if sent.previous else after_stale_state(Step.OPEN, progress, policy)
        )
    attempts = progress.attempts + 1
    if sent.previous is None:  # no state can be read of a conversation that is gone
        return Settle(Status.REJECTED, Reason.REFUSED)
    if attempts >= policy.max_attempts:
        return Settle(Status.PARKED, Reason.EXHAUSTED)
    return Recheck(replace(progress, attempts=attempts))


def is_contacts_own(answer: Answer) -> bool:
    """Tell whether a refused open is meant for this contact, unless its state explains it.

    A 400 is, but for one that says that the person is in a conversation: that passes, as a 409.
    """
    return answer.status == BAD_REQUEST and answer.hint is not Hint.TALKING


def after_conflict(
    sent: Open, answer: Answer, seen: Conversation, progress: Progress, policy: RetryPolicy
) -> NextStep | None:
    """Judge an open that was refused by the state as it is read afterwards.

    ``None`` means that the state explains the refusal, and an ordinary decision follows.
    """
    if seen.state not in (State.ENDED, State.RESUMABLE):
        return None
    if is_contacts_own(answer):
        return Settle(Status.REJECTED, Reason.REFUSED)
    if sent.external_contact_id not in (None, seen.external_contact_id):
        return Settle(Status.PARKED, Reason.IDENTITY)
    counted = progress.count_refusal(Step.OPEN)
    if counted.refusals(Step.OPEN) >= policy.loop_after:
        return Settle(Status.PARKED, Reason.RETRY_LOOP)
    again = replace(
        counted, open_next=True, target=seen.target, external_contact_id=seen.external_contact_id
    )
    return Defer(policy.not_ended_seconds, RetryReason.CONFLICT, again)


def after_absence(progress: Progress, policy: RetryPolicy) -> Settle | Defer:
    """Follow a message that was not taken after all: the state is read again, with a bound."""
    attempts = progress.attempts + 1
    if attempts >= policy.max_attempts:
        return Settle(Status.PARKED, Reason.EXHAUSTED)
    again = replace(progress, attempts=attempts, open_next=False, doubted_at=None)
    return Defer(0.0, RetryReason.NOT_FOUND, again)


def _passing_reason(result: Result) -> RetryReason:
    if isinstance(result, NoAnswer):
        return RetryReason.NO_ANSWER
    return RetryReason.NONSENSE if result.status // 100 == SUCCESS else RetryReason.SERVER_ERROR


def _not_sent(progress: Progress, policy: RetryPolicy, jitter: Jitter) -> Defer:
    return Defer(policy.backoff(1, jitter), RetryReason.NOT_SENT, progress)


def _attempt(
    reason: RetryReason, progress: Progress, policy: RetryPolicy, jitter: Jitter, told: float | None
) -> NextStep:
    attempts = progress.attempts + 1
    if attempts >= policy.max_attempts:
        return Settle(Status.PARKED, Reason.EXHAUSTED)
    seconds = told if told is not None else policy.backoff(attempts, jitter)
    return Defer(seconds, reason, replace(progress, attempts=attempts))
