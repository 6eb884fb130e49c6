"""Whether a send needs a state check for its recipient, of whom a row or a record shows less."""

import asyncio
from contextlib import suppress

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, Target
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import AddressesDiffer
from dispatcher.domain.status import Step
from dispatcher.domain.unchecked_send import EQUAL_ADDRESSES, AddressProof
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.record_rules import opens_to_row
from dispatcher.ports import EventSink

PROOF_SECONDS = 5.0
"""How long opens to the addresses of rows wait for the states that prove these addresses."""


class Recipients:
    """Permits sends that rest on less than a state check of their own, in one campaign.

    An open to the row's address is permitted once ``proof`` shows that the rows have the
    platform's addresses. While the suppression list has addresses, every send waits for the
    address that the platform has. ``compares`` is false if every decision rests on a state check.
    """

    def __init__(
        self, policy: DecisionPolicy, rules: CampaignRules, proof: AddressProof,
        events: EventSink, *, compares: bool,
    ) -> None:  # fmt: skip
        self._policy = policy
        self._rules = rules
        self._proof = proof
        self._events = events
        self._compares = compares
        self._asked = 0
        self._is_answered = asyncio.Event()

    def compare(self, contact: Contact, address: str | None) -> None:
        """Compare the row's address with the one that an answer of the platform has."""
        if not self._compares:
            return
        if self._proof.compare(contact.key, contact.address, address):
            self._events.emit(AddressesDiffer(contact.key, contact.conversation_id))
        if self._proof.is_proved or self._proof.differ:
            self._is_answered.set()

    def shows_address(self, target: Target | None, address: str | None) -> bool:
        """Return True unless the suppression list may have an address that is not known here.

        Where sends need no address, state checks show none either.
        """
        if not (self._policy.needs_address and self._rules.needs_platform_address):
            return True
        return address is not None or (target is not None and not target.is_guest_id)

    async def await_address_proof(self, record: Conversation) -> bool:
        """Wait for the proof of the rows' addresses if a record would open to the one of its row.

        Return False if the record is then not enough.

        `EQUAL_ADDRESSES` states are read to prove the addresses; other opens wait for them.
        """
        if not opens_to_row(record, self._policy):
            return True
        if not self._is_answered.is_set() and self._asked >= EQUAL_ADDRESSES:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_answered.wait(), PROOF_SECONDS)
            self._is_answered.set()  # without an answer nobody else waits
        self._asked += 1
        return self._proof.is_proved

    def permits_send(self, in_flight: InFlight) -> bool:
        """Return False if the send that is next needs a state check for its recipient.

        It rests on a record, on the refusal of an earlier send, or on the row alone. The list or
        the proof may have changed since the decision.
        """
        call = in_flight.first_call
        if call is not None and call.is_unchecked:
            return call.step is not Step.OPEN or self._proof.is_proved
        has_state, progress = in_flight.conversation is not None, in_flight.progress
        record = in_flight.record if has_state else None
        if record is None and (has_state or not progress.open_next):
            return True
        target = (record.target if record else None) or progress.target
        if not self.shows_address(target, record.address if record else None):
            return False
        if target is not None or not self._policy.needs_address:
            return True
        to_row = record is None or progress.open_next or opens_to_row(record, self._policy)
        return not to_row or self._proof.is_proved or not self._compares
