"""What a request, and what a turn of a contact, came to: closed unions of values."""

from dataclasses import dataclass

from dispatcher.domain.answer import Answer
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.status import SendBlock
from dispatcher.ports import Reply


@dataclass(frozen=True, slots=True)
class LeftWorker:
    """The contact has left its worker: it is settled, deferred, released or in doubt."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The request was not made, or was refused to the whole client: it needs a new permit."""


@dataclass(frozen=True, slots=True)
class DecideAgain:
    """No message was accepted: the next turn decides by the rules and the state."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The ledger did not commit the intent, or reported at the claim that it would not."""

    block: SendBlock


@dataclass(frozen=True, slots=True)
class Suspended:
    """A send whose decision is still valid: the next turn repeats it without another state check.

    It was not made, because a halt began, the token had expired or the run's lease is about to
    end; or the platform refused it to the whole client.
    """

    decision: Notify | Open


@dataclass(frozen=True, slots=True)
class OpenRefused:
    """An open that was refused; the state that is read next decides what the refusal means."""

    decision: Open
    answer: Answer


LEFT_WORKER, REPEAT, DECIDE_AGAIN = LeftWorker(), Repeat(), DecideAgain()

ReadResult = Reply | Repeat | LeftWorker
"""What a state check came to; a `Reply` if it was made."""
SendResult = Reply | Blocked | Suspended | DecideAgain | LeftWorker
"""What a send came to; a `Reply` if it was made."""
NextTurn = Blocked | Suspended | OpenRefused | DecideAgain | LeftWorker
"""What one turn of a contact leaves to the next one; after `LeftWorker` there is none."""
