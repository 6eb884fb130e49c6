"""Finds the messages in a look back that a send in doubt can have made."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.domain.evidence import Evidence, digest
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import Relation, Step
from dispatcher.domain.unsettled_send import UnsettledSend


@dataclass(frozen=True, slots=True)
class Match:
    """A message that the send can have made; ``at`` is its time by the platform.

    Without ``has_text`` the platform shows no text, so that only place and time match.
    """

    conversation_id: str
    message_id: str
    relation: Relation
    at: float
    has_text: bool


class Matches:
    """All messages in ``evidence.shown`` that ``send`` can have made: ``found``.

    With ``may_be_present`` the absence of the message is not proved, even if nothing was found.
    With ``ambiguous`` another record may be the send's message, so that no match is certain.
    """

    def __init__(self, send: UnsettledSend, evidence: Evidence, policy: ReconcilePolicy) -> None:
        self.found: list[Match] = []
        self.may_be_present = False
        self.ambiguous = False
        self._send = send
        self._evidence = evidence
        self._earliest = send.at - policy.clock_skew
        self._latest = policy.effective_by(send)
        for conversation in evidence.shown:
            self._examine(conversation)

    def _examine(self, conversation: PastConversation) -> None:
        send, person = self._send, conversation.external_contact_id
        candidates = [message for message in conversation.messages if self._fits(message)]
        is_unclear = any(at is None or at >= self._earliest for at in conversation.unread)
        if is_unclear or any(map(self._may_be_altered, conversation.messages)):
            self.may_be_present = self.may_be_present or self._may_be_in(conversation)
        if not conversation.readable:
            if conversation.id == send.conversation_id or self._may_be_recipient(person):
                self._mark_ambiguous()
        elif conversation.id == send.conversation_id:
            self._match_in_same(conversation, candidates)
        elif not candidates:
            pass
        elif not conversation.has_previous:
            self._match_by_person(conversation, candidates)
        elif self._may_be_opened_by_send(conversation):
            if person is None:
                self.may_be_present = True
            elif person == send.external_contact_id:
                self._add(conversation, _oldest(candidates), Relation.LINKED)

    def _fits(self, message: PastMessage) -> bool:
        """Return True if an outbound message fits by time and text, and is not another contact's.

        Without a text, it must be from the time in which the send can take effect.
        """
        if not message.outbound or message.at < self._earliest:
            return False
        if message.id in self._evidence.messages:
            return False
        if message.text is None:
            return message.at <= self._latest
        return digest(message.text) == self._send.text_sha256

    def _may_be_altered(self, message: PastMessage) -> bool:
        """Return True if a message may be the send's with a text that the platform has changed.

        It is from the time in which the send can take effect, and is not another contact's.
        """
        return (
            message.outbound
            and message.text is not None
            and self._earliest <= message.at <= self._latest
            and message.id not in self._evidence.messages
            and digest(message.text) != self._send.text_sha256
        )

    def _may_be_in(self, conversation: PastConversation) -> bool:
        """Return True if the send's message can be in a conversation, by its ids."""
        if conversation.id == self._send.conversation_id:
            return True
        may_be_new = not conversation.has_previous or self._may_be_opened_by_send(conversation)
        return may_be_new and self._may_be_recipient(conversation.external_contact_id)

    def _may_be_recipient(self, person: str | None) -> bool:
        return person in (None, self._send.external_contact_id)

    def _match_in_same(
        self, conversation: PastConversation, candidates: Sequence[PastMessage]
    ) -> None:
        """Add matches in the conversation that the send named."""
        relation = Relation.THREADED if self._send.step is Step.OPEN else Relation.NOTIFIED
        for message in candidates:
            if message.text is None and conversation.id in self._evidence.unnamed:
                self._mark_ambiguous()  # it may be the other contact's message without a known id
            else:
                self._add(conversation, message, relation)

    def _match_by_person(
        self, conversation: PastConversation, candidates: Sequence[PastMessage]
    ) -> None:
        """Add the message that began another conversation with the recipient.

        This serves platforms that report no links: the conversation is the send's only if the
        send's message is the first in it.
        """
        person = conversation.external_contact_id
        if not self._may_be_recipient(person):
            return
        first = _oldest(conversation.messages)
        if person is None:
            if first in candidates and self._send.external_contact_id is not None:
                self._mark_ambiguous()
        elif first in candidates and not self._belongs_to_another(conversation.id):
            self._add(conversation, first, Relation.LINKED)
        else:
            self._mark_ambiguous()

    def _belongs_to_another(self, conversation_id: str) -> bool:
        """Return True if another contact opened the conversation or has a message in it."""
        return conversation_id in self._evidence.conversations | self._evidence.unnamed

    def _may_be_opened_by_send(self, conversation: PastConversation) -> bool:
        """Return True if the send can have opened the conversation: no message in it is older."""
        return (
            self._send.step is Step.OPEN
            and conversation.previous == self._send.conversation_id
            and conversation.id not in self._evidence.conversations
            and all(message.at >= self._earliest for message in conversation.messages)
        )

    def _add(
        self, conversation: PastConversation, message: PastMessage, relation: Relation
    ) -> None:
        has_text = message.text is not None
        self.found.append(Match(conversation.id, message.id, relation, message.at, has_text))

    def _mark_ambiguous(self) -> None:
        """Record that something shown may or may not be the send's message."""
        self.may_be_present = self.ambiguous = True


def _oldest(messages: Sequence[PastMessage]) -> PastMessage:
    return min(messages, key=lambda message: message.at)
