"""Sessions as the platform of the contract has them, and an oracle of who may get a message.

For every message that takes effect the oracle makes the decision that a state check at that moment
would have led to: another one means that the message must not have been sent.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import Notify, Open, decide
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Step
from tests.support.scripted import CHANNEL_400, CLOSED_400, TIMEOUT, refused, throttled

COMMIT_SECONDS = 0.01
"""The longest time from the last look at the clock until a send leaves."""
STATUS = "status"
"""The column by which rows are alike."""


@dataclass
class Session:
    """One conversation; ``state`` None: it is gone."""

    id: str
    state: State | None
    person: str | None
    proactive: bool = True

    def seen_by_check(self):
        """What a state check reports; of one that is gone nothing but that."""
        if self.state is None:
            return Conversation(self.id, State.GONE)
        guest = Target(f"g-{self.person}", is_guest_id=True)
        address = f"a-{self.person}"
        return Conversation(
            self.id, self.state, self.person, guest, self.proactive, address=address
        )


@dataclass
class SessionWorld:
    """Answers requests by the state of sessions; ``fault`` is the share that is not answered so.

    ``broken_rules`` has a line for each message that must not have been sent. With ``bare_records``
    states that are read together have neither guest nor address, as in `messaging`.
    """

    sessions: dict[str, Session] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    faults: float = 0.0
    bare_records: bool = False
    seed: int = 0
    engine: object = None
    effects: list = field(default_factory=list)
    refused: Counter = field(default_factory=Counter)
    broken_rules: list = field(default_factory=list)

    def __post_init__(self):
        self.random = Random(self.seed)

    def add(self, state, *, status="", person=None, row_person=None, row_address=None, **more):
        """Add a session and its row, whose person and address are right unless they are set."""
        number = len(self.sessions) + 1
        person = f"p-{number}" if person is None else person
        id_ = f"conversation-{number}"
        self.sessions[id_] = Session(id_, state, person, more.pop("proactive", True))
        self.contacts[id_] = Contact(
            f"key-{number}",
            id_,
            f"Hello {number}",
            external_contact_id=person if row_person is None else row_person or None,
            address=f"a-{person}" if row_address is None else row_address or None,
            attributes={STATUS: status},
            **more,
        )
        return self.contacts[id_]

    def turn(self, before, after):
        """Change the state of all sessions that have the one."""
        for session in self.sessions.values():
            if session.state is before:
                session.state = after

    def answer(self, request):
        """Answer one request."""
        if self.random.random() < self.faults:
            fault = self.random.choice(["429", "503", "lost", "lost and taken"])
            if fault == "429":
                return throttled(1)
            if fault == "503":
                return refused(503)
            if request.step is not Step.CHECK and fault == "lost and taken":
                request.takes_effect = self._answer(request).status // 100 == 2
            return TIMEOUT
        answer = self._answer(request)
        self.refused[request.step] += answer.status // 100 == 4
        return answer

    def _answer(self, request):
        if request.step is Step.CHECK_MANY:
            return Answer(200, from_platform=True, conversations=self._records(request))
        session = self.sessions[request.conversation_id]
        match request.step:
            case Step.CHECK if session.state is None:
                return refused(404)
            case Step.CHECK:
                return Answer(200, from_platform=True, conversation=session.seen_by_check())
            case Step.NOTIFY:
                return self._notify(session, request.decision)
            case Step.OPEN:
                return self._open(session, request.decision)

    def _records(self, request):
        states = (self.sessions[id_].seen_by_check() for id_ in request.conversation_id)
        if self.bare_records:
            states = (replace(state, target=None, address=None) for state in states)
        return tuple(states)

    def _notify(self, session, decision):
        if session.state is None:
            return refused(404)
        if session.state is not State.OPEN:
            return replace(CLOSED_400, address=f"a-{session.person}")
        return self._take(session, decision, session.person, 202)

    def _open(self, session, decision):
        if decision.previous is not None:
            if session.state is None:
                return refused(404)
            if session.state is not State.ENDED:
                return refused(409)
            if session.person is None or decision.external_contact_id != session.person:
                return refused(409)
            if not session.proactive:
                return CHANNEL_400
        recipient = decision.target.value.partition("-")[2]
        return self._take(session, decision, recipient, 201)

    def _take(self, session, decision, recipient, status):
        number = len(self.effects) + 1
        self.effects.append((session.id, type(decision), recipient))
        self._judge(session, decision, recipient)
        into = session.id if isinstance(decision, Notify) else f"new-{number}"
        return Answer(
            status, from_platform=True, message_id=f"message-{number}", conversation_id=into
        )

    def _judge(self, session, decision, recipient):
        """Note a message that the decision after a state check would not have sent."""
        engine, contact = self.engine, self.contacts[session.id]
        truth, now = session.seen_by_check(), engine.clock.time()
        right = decide(contact, truth, NEW, engine.policy, now)
        if type(right) is not type(decision):
            self.broken_rules.append(f"{session.id}: {decision}, not {right}")
        elif isinstance(right, Open):
            owner = right.target.value.partition("-")[2]
            wanted = (right.previous, right.external_contact_id, owner)
            if (decision.previous, decision.external_contact_id, recipient) != wanted:
                self.broken_rules.append(f"{session.id}: {decision}, not {right}")
        if engine.rules.check(contact, truth, NEW, now) is not None:
            self.broken_rules.append(f"{session.id}: a rule keeps {recipient} from it")
        if contact.expires_at is not None and now >= contact.expires_at + COMMIT_SECONDS:
            self.broken_rules.append(f"{session.id}: expired")

    def rows(self):
        """The rows of the source."""
        return list(self.contacts.values())

    def reached_twice(self):
        """Conversations that more than one message is about."""
        counts = Counter(conversation for conversation, _, _ in self.effects)
        return {conversation for conversation, count in counts.items() if count > 1}
