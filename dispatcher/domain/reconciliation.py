"""What became of a send in doubt, judged by what the platform shows of the past."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from dispatcher.domain.history import PastConversation, PastMessage
from dispatcher.domain.status import Relation, Step

NEVER_SHOWN = float("-inf")
"""How far the look back has caught up while it has shown no message of ours yet."""
LONGEST_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """What is assumed of the platform, and what the operator wants; times in seconds.

    A request may take effect until ``timeout`` and ``max_effect_delay`` after its intent, the
    look back shows it ``max_lag`` later at most, and what is taken for the platform's clock is
    off by ``clock_skew`` at most. With ``resend`` a message that is not found in that time is
    sent again without further proof (at least once).
    """

    resend: bool = False
    timeout: float = 10.0
    max_effect_delay: float = 60.0
    max_lag: float = 120.0
    clock_skew: float = 5.0
    look_seconds: float = 10.0
    give_up_seconds: float = 86_400.0

    def bound(self, intended: "Intended") -> float:
        """Return the moment after which a send has had its effect, if any, and it is shown."""
        ended = max(intended.at + self.timeout, intended.ended_at or 0.0)
        return ended + self.max_effect_delay + self.max_lag + self.clock_skew

    def first_look(self, *, linked: bool) -> float:
        """Seconds until the first look; a send that names no conversation has none to wait for."""
        return self.look_seconds if linked or self.resend else 0.0

    def pause(self, waited: float) -> float:
        """Seconds until the next look; they grow with the time waited so far."""
        return max(self.look_seconds, min(waited / 2, LONGEST_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class Intended:
    """A send that nobody knows the end of; ``id`` is its contact's.

    ``conversation_id`` is the one that a notify went to, or the previous one that an open
    named; None for an unlinked open. ``at`` is when it was intended, ``ended_at`` when its request
    came to an end, where that is known: seconds since the epoch by the platform's clock.
    """

    id: int
    step: Step
    conversation_id: str | None
    external_contact_id: str | None
    text_sha256: str
    at: float
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A message of ours that the platform took; shown, it tells how far the look back is."""

    conversation_id: str
    message_id: str | None
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a look back showed, and what the ledger knows about it.

    ``messages`` and ``conversations`` are those that other contacts have in their lineage: the
    message that was taken, the conversation that was opened. ``unsettled`` are all sends of
    unknown end to the conversations concerned, in every campaign. ``caught_up`` is the newest
    time, by the platform, of a message of ours that a look back has shown.
    """

    shown: Sequence[PastConversation] = ()
    messages: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    unsettled: Sequence[Intended] = ()
    caught_up: float = NEVER_SHOWN


@dataclass(frozen=True, slots=True)
class Found:
    """The platform shows the message; ``sent_at`` is its time by the platform."""

    conversation_id: str
    message_id: str
    relation: Relation
    sent_at: float


@dataclass(frozen=True, slots=True)
class Absent:
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


Verdict = Found | Absent | Resend | LookAgain | Park


@dataclass(slots=True)
class _Fitting:
    """Messages that may be the one intended; ``unclear`` counts those with nobody named."""

    found: list[Found] = field(default_factory=list)
    unclear: int = 0


def digest(text: str | None) -> str | None:
    """Return what texts are compared by; None for one that is not shown."""
    return None if text is None else sha256(text.encode()).hexdigest()


def judge(
    intended: Intended, evidence: Evidence, policy: ReconcilePolicy, now: float, waited: float
) -> Verdict:
    """Say what became of ``intended``.

    ``now`` is when the look back was asked for, by the platform's clock, in seconds since the
    epoch; ``waited`` is for how many seconds it has been looked for.
    """
    bound = policy.bound(intended)
    if intended.conversation_id is None:  # nothing to be found by
        if not policy.resend:
            return Park()
        return Resend() if now > bound else LookAgain()
    fitting = _fitting(intended, evidence, policy)
    if fitting.found:
        return _attribute(intended, fitting.found, evidence, policy, now)
    if now <= bound:
        return LookAgain()
    if evidence.caught_up > bound and not fitting.unclear:
        return Absent()
    if policy.resend:
        return Resend()
    return Park() if waited >= policy.give_up_seconds else LookAgain()


def newest_shown(shown: Sequence[PastConversation], witnesses: Sequence[Witness]) -> float:
    """Return the newest time of a witness that is shown, text and all; else `NEVER_SHOWN`."""
    by_id = {conversation.id: conversation for conversation in shown}
    times = [
        message.at
        for witness in witnesses
        if (conversation := by_id.get(witness.conversation_id)) is not None
        for message in conversation.messages
        if message.outbound
        and message.indexed
        and witness.message_id in (None, message.id)
        and digest(message.text) == witness.text_sha256
    ]
    return max(times, default=NEVER_SHOWN)


def _attribute(
    intended: Intended, found: list[Found], evidence: Evidence, policy: ReconcilePolicy, now: float
) -> Verdict:
    """Take the one message that no other send can have made; never guess between several."""
    rivals = [other for other in evidence.unsettled if _is_rival(intended, other)]
    ours = {
        each: None  # a conversation may be shown twice: by its own id, and as a continuation
        for each in found
        if all(each.sent_at < rival.at - policy.clock_skew for rival in rivals)
    }
    if len(ours) == 1:
        return next(iter(ours))
    last = max(policy.bound(each) for each in (intended, *rivals))
    return Park() if now > last else LookAgain()


def _is_rival(intended: Intended, other: Intended) -> bool:
    """Tell whether one and the same message could be either one's."""
    return other.id != intended.id and _marks(other) == _marks(intended)


def _marks(intended: Intended) -> tuple[object, ...]:
    identity = intended.external_contact_id if intended.step is Step.OPEN else None
    return intended.step, intended.conversation_id, identity, intended.text_sha256


def _fitting(intended: Intended, evidence: Evidence, policy: ReconcilePolicy) -> _Fitting:
    fitting = _Fitting()
    for conversation in evidence.shown:
        free = _free_messages(intended, conversation, evidence, policy)
        if conversation.id == intended.conversation_id:
            here = Relation.THREADED if intended.step is Step.OPEN else Relation.NOTIFIED
            fitting.found += [Found(conversation.id, it.id, here, it.at) for it in free]
        elif _continues(intended, conversation, evidence):
            first = min(free, key=lambda message: message.at, default=None)
            if first is None:
                continue
            if conversation.external_contact_id is None:
                fitting.unclear += 1
            elif conversation.external_contact_id == intended.external_contact_id:
                opened = Found(conversation.id, first.id, Relation.LINKED, first.at)
                fitting.found.append(opened)
    return fitting


def _continues(intended: Intended, shown: PastConversation, evidence: Evidence) -> bool:
    return (
        intended.step is Step.OPEN
        and shown.previous == intended.conversation_id
        and shown.id not in evidence.conversations
    )


def _free_messages(
    intended: Intended, shown: PastConversation, evidence: Evidence, policy: ReconcilePolicy
) -> list[PastMessage]:
    def fit() -> Iterator[PastMessage]:
        for message in shown.messages:
            late_enough = message.at >= intended.at - policy.clock_skew
            if message.outbound and late_enough and message.id not in evidence.messages:
                yield message

    return [message for message in fit() if digest(message.text) == intended.text_sha256]
