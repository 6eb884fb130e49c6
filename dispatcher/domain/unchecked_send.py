"""Sends without a state check: which a contact permits, and what follows their refusal.

Such a send is permitted only if the platform itself refuses it in every state in which the decision
after a state check would not have made it. The rules are for a platform that

- accepts a link only to a conversation that has ended, of the external contact that the request
  names, on a channel that permits it (source: platform contract, open linked);
- accepts a notification only while the session is open, and compares no person (the same, notify).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import (
    BargeIn,
    DecisionPolicy,
    IdentityRule,
    Notify,
    Open,
    open_with,
)
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.ids import same_id
from dispatcher.domain.next_step import Defer, Recheck
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import RetryReason, Step

EQUAL_ADDRESSES = 2
"""So many addresses of rows must be the platform's before a row's address alone is sent to."""
REFUSALS = frozenset(
    {
        AnswerKind.CONFLICT,
        AnswerKind.CLOSED,
        AnswerKind.CHANNEL,
        AnswerKind.STALE,
        AnswerKind.REFUSED,
    }
)
"""The answers that refuse a send without a state check; after each the state is read."""


@dataclass(slots=True)
class AddressProof:
    """Whether the rows' addresses are worth as much as the platform's: a link goes to them.

    `EQUAL_ADDRESSES` of the rows of which the platform has shown an address must have that one,
    and none another one. ``equal`` has the first keys of such rows: a contact whose state is read
    several times proves no more by it.
    """

    equal: set[str] = field(default_factory=set)
    differ: bool = False

    @property
    def is_proved(self) -> bool:
        """Whether an open may go to the address of its row."""
        return len(self.equal) >= EQUAL_ADDRESSES and not self.differ

    def compare(self, key: str, row: str | None, platform: str | None) -> bool:
        """Compare two addresses of a contact; return True if they are the first that differ."""
        if not row or not platform or self.differ:
            return False
        if row.strip().casefold() == platform.strip().casefold():
            if len(self.equal) < EQUAL_ADDRESSES:
                self.equal.add(key)
            return False
        self.differ = True
        return True

    def permitted(self, sends: Sequence[Step]) -> Sequence[Step]:
        """Leave opens out unless the addresses are proved."""
        if self.is_proved:
            return sends
        return tuple(step for step in sends if step is not Step.OPEN)


def permitted_sends(contact: Contact, policy: DecisionPolicy) -> Sequence[Step]:
    """Return the sends that the contact's row permits without a state check.

    A link needs the person and the address in the row, because the state check would have
    provided them. Nobody compares the person of a notification: so the operator must have chosen
    the row's person, and a message into any open session.
    """
    if not contact.external_contact_id:
        return ()
    links = (Step.OPEN,) if contact.address else ()
    if policy.identity is IdentityRule.ROW and policy.barge_in is BargeIn.ALWAYS:
        return (*links, Step.NOTIFY)
    return links


def unchecked_send(contact: Contact, step: Step, policy: DecisionPolicy) -> Notify | Open:
    """Return the send of a contact whose row permits it; it always names the conversation."""
    if step is Step.NOTIFY:
        return Notify(contact.conversation_id, contact.external_contact_id)
    decision = open_with(contact, None, NEW, contact.conversation_id, policy)
    if isinstance(decision, Open):
        return decision
    raise ValueError(f"the row permits no {step} without a state check")


def accepted_sends(contact: Contact, conversation: Conversation) -> Sequence[Step]:
    """Return the sends that the platform would have accepted without a state check."""
    match conversation.state:
        case State.OPEN:
            return (Step.NOTIFY,)
        case State.ENDED | State.RESUMABLE if conversation.proactive:
            known, named = conversation.external_contact_id, contact.external_contact_id
            return (Step.OPEN,) if named is None or same_id(named, known) else ()
    return ()


def after_refused_send(
    kind: AnswerKind, refusal_address: str | None, progress: Progress, policy: DecisionPolicy
) -> Defer | Recheck:
    """Return the step after a send without a state check that was refused.

    The refusal decides nothing: the state is read. Only after a notification into a closed session
    is a link as good as that, to the address in the refusal. No refusal is counted.
    """
    if kind is not AnswerKind.CLOSED or not refusal_address:
        return Recheck(replace(progress, open_next=False))
    target = Target(refusal_address, is_guest_id=False)
    again = replace(progress, open_next=True, target=target)
    return Defer(policy.retry.not_ended_seconds, RetryReason.CONFLICT, again)
