"""Sends one message outside of every campaign: a person looks at it before a run begins."""

from collections.abc import Awaitable
from dataclasses import dataclass

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import DecisionPolicy, Finish, Notify, Open, Wait, decide
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.permitted_request import request_with_permit
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.ports import Clock, Pacer, Platform, Reply


@dataclass(frozen=True, slots=True)
class SingleSendReport:
    """How it ended: ``is_confirmed`` if the platform accepted the message.

    ``detail`` says it for people, has the ids of what was sent, and whether it may have been sent.
    """

    is_confirmed: bool
    detail: str


class SingleSend:
    """Reads a session's state, decides as a run does, and sends once. Nothing is written down.

    The token, the pacer and the platform are those of a run. Of the campaign's rules the
    suppression list counts.
    """

    def __init__(
        self, platform: Platform, pacer: Pacer, reader: PlatformReader, policy: DecisionPolicy,
        rules: CampaignRules, clock: Clock,
    ) -> None:  # fmt: skip
        self._platform = platform
        self._pacer = pacer
        self._reader = reader
        self._policy = policy
        self._rules = rules
        self._clock = clock

    async def send(self, contact: Contact) -> SingleSendReport:
        """Send the contact's message, if its session permits it.

        Raises:
            PlatformReadError: the platform refuses to read the state, or is down.
            CredentialsError, TokenUnavailableError: there is no token.

        """
        conversation_id = contact.conversation_id
        answer = await self._reader.read(Step.CHECK, lambda: self._platform.check(conversation_id))
        if answer is None:
            return _not_confirmed("the platform gave no answer to the state check")
        conversation = answer.conversation
        if classify(Step.CHECK, answer) is not AnswerKind.ACCEPTED or conversation is None:
            return _not_confirmed(f"the state check was refused: {_words(answer)}")
        decision = self._decide(contact, conversation)
        match decision:
            case Finish(_, reason):
                return _not_confirmed(f"a run would end this contact as {reason}")
            case Wait(reason):
                return _not_confirmed(
                    f"the session is {conversation.state}; a run would wait ({reason})"
                )
        return await self._send(contact, decision)

    def _decide(
        self, contact: Contact, conversation: Conversation
    ) -> Notify | Open | Finish | Wait:
        if self._rules.is_suppressed(contact, conversation, NEW):
            return Finish(Status.SKIPPED, Reason.SUPPRESSED)
        return decide(contact, conversation, NEW, self._policy, self._clock.time())

    async def _send(self, contact: Contact, decision: Notify | Open) -> SingleSendReport:
        step = Step.NOTIFY if isinstance(decision, Notify) else Step.OPEN
        reply = await request_with_permit(
            self._pacer, self._platform, step, lambda: self._call(contact, decision)
        )
        result = reply.result
        match classify(step, result):
            case AnswerKind.ACCEPTED if isinstance(result, Answer):
                return SingleSendReport(is_confirmed=True, detail=_sent(step, decision, result))
            case AnswerKind.IN_DOUBT:
                return _not_confirmed(
                    "there was no clear answer: it may have been sent, so check the conversation"
                )
        words = _words(result) if isinstance(result, Answer) else result.detail
        return _not_confirmed(f"the platform did not accept it: {words}")

    def _call(self, contact: Contact, decision: Notify | Open) -> Awaitable[Reply]:
        if isinstance(decision, Notify):
            return self._platform.notify(contact, decision)
        return self._platform.open(contact, decision)


def _sent(step: Step, decision: Notify | Open, answer: Answer) -> str:
    place = answer.conversation_id or getattr(decision, "conversation_id", None) or "not reported"
    what = "sent into the open session" if step is Step.NOTIFY else "sent as a new conversation"
    return f"{what}: conversation {place}, message {answer.message_id or 'not reported'}"


def _not_confirmed(detail: str) -> SingleSendReport:
    return SingleSendReport(is_confirmed=False, detail=detail)


def _words(answer: Answer) -> str:
    words = f", {answer.words[:200]}" if answer.words else ""
    return f"{answer.status}{words} (correlation id {answer.correlation_id or 'none'})"
