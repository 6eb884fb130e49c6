"""First calls of contacts: a state check, or a send that only the right state lets through."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import DecisionPolicy, Notify, Open
from dispatcher.domain.events import UncheckedSend
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.first_call import FirstCall, FirstCallLearner
from dispatcher.domain.progress import NEW
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import SendAnswer, Step
from dispatcher.domain.unchecked_send import (
    REFUSALS,
    AddressProof,
    accepted_sends,
    permitted_sends,
    unchecked_send,
)
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.clients.client import OAuthClient
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.in_flight import InFlight
from dispatcher.ports import Clock, EventSink

SCOPE_SECONDS = 10.0
"""The shortest time between two tokens that are examined because a send without a state check was
refused."""
WOKEN = 2
"""How many waiting contacts choose again when another one's answer is known."""


@dataclass(slots=True, eq=False)
class FirstCalls:
    """Chooses the first call of each contact of one campaign, and learns from the answers.

    Without a state check nothing is sent in a campaign with a suppression list, which may have an
    id or an address that only the platform knows. Opens without a state check need ``addresses``,
    the proof that the rows have those of the platform.
    """

    learner: FirstCallLearner
    likeness: RowLikeness
    policy: DecisionPolicy
    rules: CampaignRules
    events: EventSink
    clock: Clock
    pool: ClientPool
    addresses: AddressProof
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque, init=False)
    _examined: dict[OAuthClient, float] = field(default_factory=dict, init=False)

    async def choose(self, in_flight: InFlight) -> Notify | Open | None:
        """Return the send that is made without a state check; None: the state is read first.

        Only the very first call of a contact is chosen. It may have to wait for another contact's
        answer, so that a change of all sessions meets a bounded number of sends.
        """
        if in_flight.progress != NEW:
            return None
        self.leave(in_flight)
        in_flight.state_requests = 0.0
        contact = in_flight.contact
        call = in_flight.first_call = await self._choose(in_flight)
        if call.step is Step.CHECK:
            return None
        return unchecked_send(contact, call.step, self.policy)

    def observe(self, in_flight: InFlight, conversation: Conversation) -> None:
        """Learn from the state that was read as the first call, or after a refused send."""
        call, in_flight.first_call = in_flight.first_call, None
        if call is None:
            return
        accepted = accepted_sends(in_flight.contact, conversation)
        self.learner.end_check(call, accepted, in_flight.state_requests)
        self._wake()

    def learn_from_answer(self, in_flight: InFlight, step: Step, kind: AnswerKind) -> bool:
        """Learn from an answer to a send without a state check; return True if it was refused."""
        call = in_flight.first_call
        if call is None or not call.is_unchecked:
            return False
        accepted, refused = kind is AnswerKind.ACCEPTED, kind in REFUSALS
        if accepted or refused:
            more = 0 if accepted else 1 if kind is AnswerKind.CLOSED else 2
            saved = call.check_cost - more
            answer = SendAnswer.ACCEPTED if accepted else SendAnswer.REFUSED
            self.events.emit(UncheckedSend(step, answer, saved))
            self.learner.end_send(call, accepted=accepted)
            self._wake()
        return refused

    def take_scope_check(self, client: OAuthClient) -> bool:
        """Return True if a 409 is to be examined for a missing scope that it hides.

        True is returned once in `SCOPE_SECONDS` for a client.

        The state that is read next explains nearly all of them. One that it does not explain is
        found by the next send, which rests on that state.
        """
        now = self.clock.monotonic()
        if now - self._examined.get(client, float("-inf")) < SCOPE_SECONDS:
            return False
        self._examined[client] = now
        return True

    def leave(self, in_flight: InFlight) -> None:
        """End the first call of a contact that has left its worker, or chooses again."""
        call, in_flight.first_call = in_flight.first_call, None
        if call is not None and call.is_pending:
            self.learner.release(call)
            self._wake()

    async def _choose(self, in_flight: InFlight) -> FirstCall:
        """Return the first call, at the latest when another contact's answer permits it.

        A probe must not wait for others: they wait for the end of the halt, and so for it.
        """
        contact = in_flight.contact
        cell = self.likeness.cell(contact.attributes, self.clock.time())
        possible = self._possible(contact)
        while not self.pool.draining:
            call = self.learner.choose(cell, possible, self.addresses.permitted(possible))
            if call is not None:
                return call
            if self.pool.is_probe(in_flight.id):
                break
            await self._next_answer()
        return self.learner.check(cell)

    def _possible(self, contact: Contact) -> Sequence[Step]:
        return () if self.rules.suppressed is not None else permitted_sends(contact, self.policy)

    async def _next_answer(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            with suppress(ValueError):
                self._waiting.remove(future)

    def _wake(self) -> None:
        for _ in range(min(WOKEN, len(self._waiting))):
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
