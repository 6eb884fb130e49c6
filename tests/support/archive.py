"""What a scripted platform's analytics show: every message that took effect, after a lag."""

from dataclasses import dataclass, replace

from dispatcher.domain.answer import Answer
from dispatcher.domain.past_conversation import PastConversation, PastMessage


@dataclass(frozen=True)
class Kept:
    conversation: str
    previous: str | None
    identity: str | None
    message: PastMessage


class Archive:
    """Keeps messages; one is shown ``lag`` seconds after its time.

    A ``bare`` one shows neither texts nor links, but whole conversations, and those of the people
    that were asked about, too.
    """

    def __init__(self, lag=0.0):
        self.lag = lag
        self.bare = False
        self.kept: list[Kept] = []

    def add(self, conversation, text, at, *, previous=None, identity=None, name=None):
        number = len(self.kept) + 1
        message = PastMessage(name or f"m-{number}", outbound=True, at=at, text=text)
        self.kept.append(Kept(conversation or f"late-{number}", previous, identity, message))

    def answer(self, conversation, at):
        """Add a message of a guest's."""
        message = PastMessage(f"in-{len(self.kept)}", outbound=False, at=at, text="Thanks")
        self.kept.append(Kept(conversation, None, None, message))

    def show(self, conversations, previous, now, people=()):
        """Answer a look back."""
        shown = [item for item in self.kept if item.message.at + self.lag <= now]
        if self.bare:
            return _bare(shown, {*conversations, *previous}, people)
        history = [
            PastConversation(item.conversation, item.previous, item.identity, (item.message,))
            for item in shown
            if item.conversation in conversations or item.previous in previous
        ]
        return Answer(200, from_platform=True, past_conversations=tuple(history))


def _bare(shown, conversations, people):
    found = {}
    for item in shown:
        if item.conversation in conversations or item.identity in people:
            message = replace(item.message, text=None)
            found.setdefault((item.conversation, item.identity), []).append(message)
    history = [
        PastConversation(conversation, None, identity, tuple(messages), has_previous=False)
        for (conversation, identity), messages in found.items()
    ]
    return Answer(200, from_platform=True, past_conversations=tuple(history))
