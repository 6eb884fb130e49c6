"""What became of a send in doubt, judged by what the platform shows of the past."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.status import Relation, Step
from dispatcher.domain.unsettled_send import ReconcilePolicy, UnsettledSend

NEVER_SHOWN = float("-inf")
"""How far the look back has caught up while it has shown no message of ours yet."""


@dataclass(frozen=True, slots=True)
class DeliveryWitness:
    """A message of ours that the platform took; shown, it tells how far the look back is."""

    conversation_id: str
    message_id: str | None
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a look back showed, and what the ledger knows about it.

    ``messages`` and ``conversations`` are those that other contacts have in their lineage: the
    message that was taken, the conversation that was opened; ``unnamed`` the conversations that
    took a message of theirs whose id is not known. ``unsettled`` are all sends of unknown end to
    the conversations and people concerned, in every campaign. ``caught_up`` is the newest time, by
    the platform, of a message of ours that a look back has shown.
    """

    shown: Sequence[PastConversation] = ()
    messages: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    unsettled: Sequence[UnsettledSend] = ()
    caught_up: float = NEVER_SHOWN
    unnamed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MessageFound:
    """The platform shows the message; ``sent_at`` is its time by the platform."""

    conversation_id: str
    message_id: str
    relation: Relation
    sent_at: float


@dataclass(frozen=True, slots=True)
class MessageAbsent:
    """It is proved that the message was not taken."""


@dataclass(frozen=True, slots=True)
class Resend:
    """It was not found in time, and the operator wants it sent again then."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing can be said yet."""


@dataclass(frozen=True, slots=True)
class Park:
    """The platform cannot tell."""


Verdict = MessageFound | MessageAbsent | Resend | LookAgain | Park


@dataclass(frozen=True, slots=True)
class _Fit:
    """A message that may be the one intended; one without a text may be any send's of that time."""

    found: MessageFound
    has_text: bool


@dataclass(slots=True)
class _Fitting:
    """Messages that may be the one intended.

    ``unclear`` counts those that prove neither that it was taken nor that it was not,
    ``doubtful`` those among them that make any other match a guess.
    """

    found: list[_Fit] = field(default_factory=list)
    unclear: int = 0
    doubtful: int = 0

    def add(self, conversation: str, message: PastMessage, relation: Relation) -> None:
        found = MessageFound(conversation, message.id, relation, message.at)
        self.found.append(_Fit(found, message.text is not None))

    def doubt(self) -> None:
        self.doubtful += 1
        self.unclear += 1


def digest(text: str | None) -> str | None:
    """Return what texts are compared by; None for one that is not shown."""
    return None if text is None else sha256(text.encode()).hexdigest()


def judge(
    intended: UnsettledSend, evidence: Evidence, policy: ReconcilePolicy, now: float, waited: float
) -> Verdict:
    """Say what became of ``intended``.

    ``now`` is when the look back was asked for, by the platform's clock, in seconds since the
    epoch; ``waited`` is for how many seconds it has been looked for.
    """
    bound = policy.visible_by(intended)
    if intended.conversation_id is None:  # nothing to be found by
        if not policy.resend:
            return Park()
        return Resend() if now > bound else LookAgain()
    fitting = _fitting(intended, evidence, policy)
    if fitting.found:
        return _attribute(intended, fitting, evidence, policy, now)
    if now <= bound:
        return LookAgain()
    if evidence.caught_up > bound and not fitting.unclear and _would_be_shown(intended, policy):
        return MessageAbsent()
    if policy.resend:
        return Resend()
    return Park() if waited >= policy.give_up_seconds else LookAgain()


def newest_shown(shown: Sequence[PastConversation], witnesses: Sequence[DeliveryWitness]) -> float:
    """Return the newest time of a witness that is shown, as it was sent; else `NEVER_SHOWN`."""
    by_id = {conversation.id: conversation for conversation in shown}
    times = [
        message.at
        for witness in witnesses
        if (conversation := by_id.get(witness.conversation_id)) is not None
        for message in conversation.messages
        if message.outbound and message.indexed and _is_witness(message, witness)
    ]
    return max(times, default=NEVER_SHOWN)


def _is_witness(message: PastMessage, witness: DeliveryWitness) -> bool:
    if message.text is None:
        return witness.message_id == message.id
    told = witness.message_id in (None, message.id)
    return told and digest(message.text) == witness.text_sha256


def _would_be_shown(intended: UnsettledSend, policy: ReconcilePolicy) -> bool:
    """Tell whether a message that was taken would be among what was asked for.

    What begins a conversation is found by its person, wherever the platform tells no links.
    """
    if policy.reports_links and intended.step is Step.NOTIFY:
        return True
    return policy.reports_people and intended.external_contact_id is not None


def _attribute(
    intended: UnsettledSend,
    fitting: _Fitting,
    evidence: Evidence,
    policy: ReconcilePolicy,
    now: float,
) -> Verdict:
    """Take the one message that no other send can have made; never guess between several."""
    others = [other for other in evidence.unsettled if other.id != intended.id]
    rivals: dict[UnsettledSend, None] = {}
    ours: dict[MessageFound, None] = {}  # a conversation may be shown for several of the ids asked
    for fit in fitting.found:
        alike = [other for other in others if _is_rival(intended, fit, other)]
        rivals.update(dict.fromkeys(alike))
        if not any(_may_have_sent(other, fit, policy) for other in alike):
            ours[fit.found] = None
    if len(ours) == 1 and not fitting.doubtful:
        return next(iter(ours))
    last = max(policy.visible_by(each) for each in (intended, *rivals))
    return Park() if now > last else LookAgain()


def _is_rival(intended: UnsettledSend, fit: _Fit, other: UnsettledSend) -> bool:
    """Tell whether one and the same message could be either one's, but for its time."""
    if fit.has_text:
        return _marks(other) == _marks(intended)
    if other.conversation_id in (intended.conversation_id, fit.found.conversation_id):
        return True
    if other.external_contact_id is None:
        return fit.found.relation is Relation.LINKED
    return other.external_contact_id == intended.external_contact_id


def _may_have_sent(other: UnsettledSend, fit: _Fit, policy: ReconcilePolicy) -> bool:
    at = fit.found.sent_at
    if at < other.at - policy.clock_skew:
        return False
    return fit.has_text or at <= policy.effective_by(other)


def _marks(intended: UnsettledSend) -> tuple[object, ...]:
    identity = intended.external_contact_id if intended.step is Step.OPEN else None
    return intended.step, intended.conversation_id, identity, intended.text_sha256


def _fitting(intended: UnsettledSend, evidence: Evidence, policy: ReconcilePolicy) -> _Fitting:
    fitting = _Fitting()
    for conversation in evidence.shown:
        if not conversation.readable:
            if _may_hold(intended, conversation):
                fitting.doubt()
            continue
        free = _free_messages(intended, conversation, evidence, policy)
        if conversation.id == intended.conversation_id:
            here = Relation.THREADED if intended.step is Step.OPEN else Relation.NOTIFIED
            _fit_here(fitting, conversation, free, here, evidence)
        elif not conversation.has_previous:
            _fit_elsewhere(fitting, intended, conversation, free, evidence)
        elif _continues(intended, conversation, evidence, policy.clock_skew):
            first = min(free, key=lambda message: message.at, default=None)
            if first is None:
                continue
            if conversation.external_contact_id is None:
                fitting.unclear += 1
            elif conversation.external_contact_id == intended.external_contact_id:
                fitting.add(conversation.id, first, Relation.LINKED)
    return fitting


def _may_hold(intended: UnsettledSend, shown: PastConversation) -> bool:
    """Tell whether a message may be in a conversation whose messages are not told."""
    nobody_elses = shown.external_contact_id in (None, intended.external_contact_id)
    return nobody_elses or shown.id == intended.conversation_id


def _fit_here(
    fitting: _Fitting,
    shown: PastConversation,
    free: Sequence[PastMessage],
    relation: Relation,
    evidence: Evidence,
) -> None:
    """Take what fits in the very conversation that a send named."""
    for message in free:
        if message.text is None and shown.id in evidence.unnamed:
            fitting.doubt()
        else:
            fitting.add(shown.id, message, relation)


def _fit_elsewhere(
    fitting: _Fitting,
    intended: UnsettledSend,
    shown: PastConversation,
    free: Sequence[PastMessage],
    evidence: Evidence,
) -> None:
    """Take what fits in a conversation that is ours only if our send began it, by its person."""
    person = shown.external_contact_id
    if not free or person not in (None, intended.external_contact_id):
        return
    first = min(shown.messages, key=lambda message: message.at)
    begun = first in free
    if person is None:
        if begun and intended.external_contact_id is not None:  # nobody is named: it may be ours
            fitting.doubt()
    elif begun and shown.id not in evidence.conversations | evidence.unnamed:
        fitting.add(shown.id, first, Relation.LINKED)
    else:
        fitting.doubt()


def _continues(
    intended: UnsettledSend, shown: PastConversation, evidence: Evidence, skew: float
) -> bool:
    """Tell whether a conversation may be the one that the send opened: none older than it is."""
    return (
        intended.step is Step.OPEN
        and shown.previous == intended.conversation_id
        and shown.id not in evidence.conversations
        and all(message.at >= intended.at - skew for message in shown.messages)
    )


def _free_messages(
    intended: UnsettledSend, shown: PastConversation, evidence: Evidence, policy: ReconcilePolicy
) -> list[PastMessage]:
    def fit() -> Iterator[PastMessage]:
        for message in shown.messages:
            late_enough = message.at >= intended.at - policy.clock_skew
            if message.outbound and late_enough and message.id not in evidence.messages:
                yield message

    def is_ours(message: PastMessage) -> bool:
        if message.text is None:  # any message fits, but for its time
            return message.at <= policy.effective_by(intended)
        return digest(message.text) == intended.text_sha256

    return [message for message in fit() if is_ours(message)]
