"""What to do with a contact once its conversation's state is known."""

from dataclasses import dataclass, field
from enum import StrEnum

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import Reason, RetryReason, Status


@dataclass(frozen=True, slots=True)
class Notify:
    """Send into the session that is still open.

    Whom it is with is what the state check told, else what the row says: there are platforms
    that address people, not sessions.
    """

    conversation_id: str
    external_contact_id: str | None = field(default=None, compare=False)
    target: Target | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Open:
    """Start a new conversation; ``previous`` is the closed one, or none for an unlinked one.

    ``target`` and ``external_contact_id`` tell whom with: both, or the one that the platform
    needs, and the other where it is known.
    """

    target: Target | None
    external_contact_id: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is sent: the contact is final."""

    status: Status
    reason: Reason


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: look again after a while."""

    reason: RetryReason


Decision = Notify | Open | Finish | Wait


class BargeIn(StrEnum):
    """Whether a message may go into a session that is open."""

    NEVER = "never"
    CUSTOMER_ONLY = "customer-only"
    """Only where neither a bot nor an agent is connected."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """What the operator decided for the whole campaign, and what the platform's calls need.

    A contact whose session is open, and may not be written into, is looked at again each
    ``engaged_seconds``, for ``engaged_max_seconds`` at most. ``needs_identity`` and
    ``needs_address`` tell what a new conversation cannot be opened without.
    """

    open_unlinked_when_gone: bool = False
    barge_in: BargeIn = BargeIn.ALWAYS
    engaged_seconds: float = 60.0
    engaged_max_seconds: float = 86_400.0
    needs_identity: bool = True
    needs_address: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    reconcile: ReconcilePolicy = field(default_factory=ReconcilePolicy)


def decide(
    contact: Contact,
    conversation: Conversation,
    progress: Progress,
    rules: DecisionPolicy,
    now: float,
) -> Decision:
    """Pick the right call for ``contact``; ``now`` is in seconds since the epoch."""
    match conversation.state:
        case State.OPEN:
            return _when_open(contact, conversation, progress, rules, now)
        case State.GONE:
            return _when_gone(contact, progress, rules)
        case State.UNKNOWN:
            if progress.unknown + 1 >= rules.retry.max_attempts:
                return Finish(Status.PARKED, Reason.UNKNOWN_STATE)
            return Wait(RetryReason.UNKNOWN_STATE)
        case State.CLOSED | State.ENDED | State.RESUMABLE:
            return _when_closed(contact, conversation, progress, rules, now)


def permits_barge_in(rules: DecisionPolicy, conversation: Conversation) -> bool:
    """Tell whether a message may go into ``conversation``, which is open."""
    match rules.barge_in:
        case BargeIn.ALWAYS:
            return True
        case BargeIn.CUSTOMER_ONLY:
            return not conversation.engaged
        case BargeIn.NEVER:
            return False


def open_with(
    contact: Contact,
    conversation: Conversation | None,
    progress: Progress,
    previous: str | None,
    rules: DecisionPolicy,
) -> Open | Finish:
    """Collect what an open needs by ``rules``, or say what is missing, before anything is sent.

    The target is the state check's, else the one a closed session's refusal told, else the
    row's address. The row's external contact id and the platform's must agree: a link with
    one that belongs to somebody else is refused.
    """
    told = conversation.external_contact_id if conversation else progress.external_contact_id
    identity = contact.external_contact_id or told
    if identity is None and rules.needs_identity:
        return Finish(Status.REJECTED, Reason.NO_IDENTITY)
    if told is not None and told != identity:
        return Finish(Status.PARKED, Reason.IDENTITY)
    target = (conversation.target if conversation else None) or progress.target
    if target is None and contact.address:
        target = Target(contact.address, is_guest_id=False)
    if target is None and (rules.needs_address or identity is None):
        return Finish(Status.REJECTED, Reason.NO_ADDRESS)
    return Open(target, identity, previous)


def _when_open(
    contact: Contact,
    conversation: Conversation,
    progress: Progress,
    rules: DecisionPolicy,
    now: float,
) -> Decision:
    if permits_barge_in(rules, conversation):
        person = conversation.external_contact_id or contact.external_contact_id
        return Notify(conversation.id, person, conversation.target)
    since = progress.engaged_since
    if since is not None and now - since >= rules.engaged_max_seconds:
        return Finish(Status.PARKED, Reason.ENGAGED)
    return Wait(RetryReason.ENGAGED)


def _when_gone(contact: Contact, progress: Progress, rules: DecisionPolicy) -> Decision:
    if rules.open_unlinked_when_gone:
        return open_with(contact, None, progress, None, rules)
    return Finish(Status.REJECTED, Reason.CONVERSATION_GONE)


def _when_closed(
    contact: Contact,
    conversation: Conversation,
    progress: Progress,
    rules: DecisionPolicy,
    now: float,
) -> Decision:
    if not conversation.proactive:
        return Finish(Status.REJECTED, Reason.CHANNEL)
    decision = open_with(contact, conversation, progress, conversation.id, rules)
    if isinstance(decision, Finish) or conversation.state is not State.CLOSED:
        return decision
    since = progress.not_ended_since
    if since is not None and now - since >= rules.retry.not_ended_max_seconds:
        return Finish(Status.PARKED, Reason.NEVER_ENDED)
    return Wait(RetryReason.NOT_ENDED)
