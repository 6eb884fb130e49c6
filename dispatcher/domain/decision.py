"""The decision after a state check: notify, open a new conversation, finish or wait."""

from dataclasses import dataclass, field
from enum import StrEnum

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.ids import same_id
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import Reason, RetryReason, Status
from dispatcher.domain.value_class import value_class


@value_class
class Notify:
    """Send into the session that is still open.

    The person is the state check's, else the row's: some platforms address people, not sessions.
    """

    conversation_id: str
    external_contact_id: str | None = field(default=None, compare=False)
    target: Target | None = field(default=None, compare=False, repr=False)


@value_class
class Open:
    """Open a new conversation that is linked to ``previous``; None: without a link.

    The recipient is ``target``, ``external_contact_id`` or both, as the platform needs.
    """

    target: Target | None
    external_contact_id: str | None
    previous: str | None


@value_class
class Finish:
    """The contact is final, without a send."""

    status: Status
    reason: Reason


@value_class
class Wait:
    """Check the state again later."""

    reason: RetryReason


Decision = Notify | Open | Finish | Wait


class BargeIn(StrEnum):
    """Whether a message may be sent into an open session."""

    NEVER = "never"
    CUSTOMER_ONLY = "customer-only"
    """Only if neither a bot nor an agent is connected."""
    ALWAYS = "always"


class IdentityRule(StrEnum):
    """What to do if the row and the state check name different external contacts."""

    PARK = "park"
    """No message: a person has to decide which of them is right."""
    PLATFORM = "platform"
    """The platform's id is right: it has merged two records of one person, for example."""
    ROW = "row"
    """The row's id is right."""


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """The operator's choices for a campaign, and what the platform's calls need.

    A contact whose open session does not permit a message (see `BargeIn`) is checked again every
    ``engaged_seconds``, for at most ``engaged_max_seconds``. ``needs_identity`` and
    ``needs_address`` say whether a new conversation needs an external contact id and a target.
    ``identity`` decides between two external contact ids that differ.
    """

    open_unlinked_when_gone: bool = False
    barge_in: BargeIn = BargeIn.ALWAYS
    engaged_seconds: float = 60.0
    engaged_max_seconds: float = 86_400.0
    needs_identity: bool = True
    needs_address: bool = True
    identity: IdentityRule = IdentityRule.PARK
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    reconcile: ReconcilePolicy = field(default_factory=ReconcilePolicy)


def decide(
    contact: Contact,
    conversation: Conversation,
    progress: Progress,
    policy: DecisionPolicy,
    now: float,
) -> Decision:
    """Return the decision for ``contact``; ``now`` is in seconds since the epoch."""
    match conversation.state:
        case State.OPEN if permits_barge_in(policy, conversation):
            return _notify(contact, conversation, policy)
        case State.OPEN:
            if _is_over(progress.engaged_since, policy.engaged_max_seconds, now):
                return Finish(Status.PARKED, Reason.ENGAGED)
            return Wait(RetryReason.ENGAGED)
        case State.GONE if policy.open_unlinked_when_gone:
            return open_with(contact, None, progress, None, policy)
        case State.GONE:
            return Finish(Status.REJECTED, Reason.CONVERSATION_GONE)
        case State.UNKNOWN if progress.unknown + 1 >= policy.retry.max_attempts:
            return Finish(Status.PARKED, Reason.UNKNOWN_STATE)
        case State.UNKNOWN:
            return Wait(RetryReason.UNKNOWN_STATE)
        case State.CLOSED | State.ENDED | State.RESUMABLE:
            return _when_closed(contact, conversation, progress, policy, now)


def permits_barge_in(policy: DecisionPolicy, conversation: Conversation) -> bool:
    """Return True if a message may be sent into ``conversation``, which is open."""
    match policy.barge_in:
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
    policy: DecisionPolicy,
) -> Open | Finish:
    """Return an open with its recipient, or a finish if the recipient is not sufficient.

    The target is that of the state check, else that of a closed session's refusal, else the row's
    address. If the row's external contact id is not the platform's, the policy decides: the
    platform refuses a link to the conversation of another person.
    """
    known_id = conversation.external_contact_id if conversation else progress.external_contact_id
    if _needs_person(contact.external_contact_id, known_id, policy):
        return Finish(Status.PARKED, Reason.IDENTITY)
    identity = _identity(contact.external_contact_id, known_id, policy)
    if identity is None and policy.needs_identity:
        return Finish(Status.REJECTED, Reason.NO_IDENTITY)
    target = (conversation.target if conversation else None) or progress.target
    if target is None and contact.address:
        target = Target(contact.address, is_guest_id=False)
    if target is None and (policy.needs_address or identity is None):
        return Finish(Status.REJECTED, Reason.NO_ADDRESS)
    return Open(target, identity, previous)


def _notify(
    contact: Contact, conversation: Conversation, policy: DecisionPolicy
) -> Notify | Finish:
    """Return a notify, unless the open session is another person's than the row's."""
    row_id, known_id = contact.external_contact_id, conversation.external_contact_id
    if _needs_person(row_id, known_id, policy):
        return Finish(Status.PARKED, Reason.IDENTITY)
    return Notify(conversation.id, _identity(row_id, known_id, policy), conversation.target)


def _needs_person(row_id: str | None, known_id: str | None, policy: DecisionPolicy) -> bool:
    """Return True if the row and the platform name two people, and the policy chooses neither."""
    if policy.identity is not IdentityRule.PARK or row_id is None or known_id is None:
        return False
    return not same_id(row_id, known_id)


def _identity(row_id: str | None, known_id: str | None, policy: DecisionPolicy) -> str | None:
    """Return the external contact id to send to; the platform's spelling if both are the same."""
    if policy.identity is IdentityRule.ROW and not same_id(row_id, known_id):
        return row_id or known_id
    return known_id or row_id


def _when_closed(
    contact: Contact,
    conversation: Conversation,
    progress: Progress,
    policy: DecisionPolicy,
    now: float,
) -> Decision:
    if not conversation.proactive:
        return Finish(Status.REJECTED, Reason.CHANNEL)
    decision = open_with(contact, conversation, progress, conversation.id, policy)
    if isinstance(decision, Finish) or conversation.state is not State.CLOSED:
        return decision
    if _is_over(progress.not_ended_since, policy.retry.not_ended_max_seconds, now):
        return Finish(Status.PARKED, Reason.NEVER_ENDED)
    return Wait(RetryReason.NOT_ENDED)


def _is_over(since: float | None, max_seconds: float, now: float) -> bool:
    return since is not None and now - since >= max_seconds
