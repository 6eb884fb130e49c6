"""The verdict on a send in doubt, from the evidence of a look back."""

from dataclasses import dataclass
from typing import Literal

from dispatcher.domain.evidence import Evidence
from dispatcher.domain.message_matching import Match, Matches
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import Relation, Resolution, Step
from dispatcher.domain.unsettled_send import UnsettledSend


@dataclass(frozen=True, slots=True)
class MessageFound:
    """The platform has the message; ``sent_at`` is its time by the platform."""

    conversation_id: str
    message_id: str
    relation: Relation
    sent_at: float


NotFound = Literal[Resolution.ABSENT, Resolution.RESENT, Resolution.PARKED]
"""A verdict on a send whose message was not found, or not for certain."""
Verdict = MessageFound | NotFound | None
"""How a send in doubt ends; None: the evidence is not sufficient yet."""


def judge(
    send: UnsettledSend, evidence: Evidence, policy: ReconcilePolicy, now: float, waited: float
) -> Verdict:
    """Decide what happened to ``send``.

    ``now`` is the time of the look back (seconds since the epoch by the platform's clock).
    ``waited`` is the number of seconds since the first look back for this send.
    """
    send, evidence = send.canonical(), evidence.canonical()
    visible_by = policy.visible_by(send)
    if send.conversation_id is None:  # no look back can find it
        if not policy.resend:
            return Resolution.PARKED
        return Resolution.RESENT if now > visible_by else None
    matches = Matches(send, evidence, policy)
    if matches.found:
        return _attribute(send, matches, evidence, policy, now)
    if now <= visible_by:
        return None
    complete = evidence.analytics_watermark > visible_by and _is_searchable(send, policy)
    if complete and not matches.may_be_present:
        return Resolution.ABSENT
    if policy.resend:
        return Resolution.RESENT
    return Resolution.PARKED if waited >= policy.give_up_seconds else None


def _is_searchable(send: UnsettledSend, policy: ReconcilePolicy) -> bool:
    """Return True if the look back's query covers every conversation that can have the message.

    Where the platform reports no links, a new conversation is only found by its person.
    """
    if policy.reports_links and send.step is Step.NOTIFY:
        return True
    return policy.reports_people and send.external_contact_id is not None


def _attribute(
    send: UnsettledSend,
    matches: Matches,
    evidence: Evidence,
    policy: ReconcilePolicy,
    now: float,
) -> Verdict:
    """Return the one match that no other unsettled send can have made.

    If there is not exactly one, look again until all sends concerned are visible, then park:
    choosing between several would be a guess.
    """
    others = [other for other in evidence.unsettled if other.id != send.id]
    rivals: set[UnsettledSend] = set()
    ours: set[MessageFound] = set()  # a look back may show one conversation more than once
    for match in matches.found:
        similar = [other for other in others if _is_rival(send, match, other)]
        rivals.update(similar)
        if not any(_may_have_made(other, match, policy) for other in similar):
            ours.add(
                MessageFound(match.conversation_id, match.message_id, match.relation, match.at)
            )
    if len(ours) == 1 and not matches.ambiguous:
        return ours.pop()
    last = max(policy.visible_by(candidate) for candidate in (send, *rivals))
    return Resolution.PARKED if now > last else None


def _is_rival(send: UnsettledSend, match: Match, other: UnsettledSend) -> bool:
    """Return True if ``other`` can have made the same message as ``send``, apart from its time."""
    if match.has_text:
        return _attributes(other) == _attributes(send)
    if other.conversation_id in (send.conversation_id, match.conversation_id):
        return True
    if other.external_contact_id is None:
        return match.relation is Relation.LINKED
    return other.external_contact_id == send.external_contact_id


def _may_have_made(other: UnsettledSend, match: Match, policy: ReconcilePolicy) -> bool:
    """Return True if the time of the match permits that ``other`` made it."""
    if match.at < other.at - policy.clock_skew:
        return False
    return match.has_text or match.at <= policy.effective_by(other)


def _attributes(send: UnsettledSend) -> tuple[object, ...]:
    """Return what distinguishes sends in the platform's records."""
    person = send.external_contact_id if send.step is Step.OPEN else None
    return send.step, send.conversation_id, person, send.text_sha256
