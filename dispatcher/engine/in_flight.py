"""The state of a contact while a worker has it."""

from dataclasses import dataclass, field, replace

from dispatcher.domain import contact_history
from dispatcher.domain.answer import Answer, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.first_call import FirstCall
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Step
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.ports import TokenLease


@dataclass(slots=True, eq=False)
class InFlight:
    """What is known of a contact in flight.

    ``started`` (monotonic seconds) is when a worker took it, or when the message of a contact in
    doubt was sent; ``history`` is what was done since a worker took it.
    ``conversation`` is the state that was read last, ``state_at`` (monotonic seconds) when.
    ``client`` made the last request, at ``sent_at`` (seconds since the epoch), and is unset
    before the first. ``unauthorized`` has, by client, how many 401 came and the last token that
    got one; ``forbidden`` has the clients that may not reach the contact.
    ``intended`` is true while the ledger has the intent of a send. ``record`` is the state that
    the last decision rested on, if it was read with others; None: it was read individually.
    ``alone`` is true if the next state has to be read so. ``first_call`` is the contact's first
    call until it was learnt from, ``state_requests`` the number of requests that returned its
    state; of one that several contacts share, a part.
    """

    id: int
    contact: Contact
    progress: Progress
    started: float
    history: list[contact_history.HistoryEntry] = field(default_factory=list)
    conversation: Conversation | None = None
    state_at: float = 0.0
    sent_at: float = 0.0
    client: OAuthClient = field(init=False)
    unauthorized: dict[OAuthClient, tuple[int, TokenLease]] = field(default_factory=dict)
    forbidden: set[OAuthClient] = field(default_factory=set)
    intended: bool = False
    record: Conversation | None = None
    alone: bool = False
    first_call: FirstCall | None = None
    state_requests: float = 0.0
    _sends_before: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember how many sends were made before."""
        self._sends_before = self.progress.sends

    @property
    def has_sent(self) -> bool:
        """Whether a send was made since a worker took the contact."""
        return self.progress.sends > self._sends_before

    def record_state(self, conversation: Conversation, now: float) -> None:
        """Remember the state that was read; ``now`` is monotonic."""
        self.conversation, self.state_at = conversation, now

    def record_request(self, step: Step, result: Result, kind: AnswerKind) -> None:
        """Add a request to the history, with the state that its answer has."""
        conversation = result.conversation if isinstance(result, Answer) else None
        state = conversation.state if conversation is not None else None
        self.history.append(contact_history.request_entry(self.sent_at, step, result, kind, state))
        contact_history.shorten(self.history)

    @property
    def external_contact_id(self) -> str | None:
        """The person's id, if it is known: the platform's, else the row's."""
        read = self.conversation or self.progress
        return read.external_contact_id or self.contact.external_contact_id

    def forget_state_before(self, oldest: float) -> bool:
        """Forget a state that was read before ``oldest``; the next decision reads it again."""
        if self.conversation is None or self.state_at >= oldest:
            return False
        self.conversation = None
        self.progress = replace(self.progress, open_next=False)
        return True

    def redact(self, words: str) -> str:
        """Remove from the platform's words what identifies the person, and the message."""
        if not words:
            return ""
        contact, conversation = self.contact, self.conversation
        target = (conversation.target if conversation else None) or self.progress.target
        known = (target and target.value, conversation.address if conversation else None)
        for secret in (contact.text, contact.subject, contact.address, *known):
            if secret:
                words = words.replace(secret, "[redacted]")
        return words
