"""What a refusal in the `genesys` dialect hints at."""

from dispatcher.domain.answer import Hint
from dispatcher.platforms.response_parsing import Body, text

_CONVERSATION_WORDS = ("active", "connected", "existing", "already", "in progress")
_OTHER_MATTERS = (
    "text",
    "template",
    "address",
    "external contact",
    "externalcontact",
    "messenger",
    "deployment",
    "integration",
    "parameter",
    "json",
)
"""What a send can be refused for that has nothing to do with the person's conversation."""


def no_hint(_: Body, _words: str) -> Hint:
    """Read a refusal of anything but a send: there is nothing to be read."""
    return Hint.NONE


def send_hint(body: Body, words: str) -> Hint:
    """Tell whether a refused send means, or may mean, that the person is in an open conversation.

    Which status and which words that refusal has could not be found (source: platform contract,
    send). So a refusal hints at it unless it is plainly about something else: then the
    conversation's state is read again, and that tells.
    """
    told = f"{text(body, 'code') or ''} {words}".lower()
    if "proactive" in told:
        return Hint.CHANNEL
    if "conversation" in told and any(each in told for each in _CONVERSATION_WORDS):
        return Hint.TALKING
    return Hint.NONE if any(each in told for each in _OTHER_MATTERS) else Hint.ACTIVE
