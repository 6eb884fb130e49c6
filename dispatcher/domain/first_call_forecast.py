"""Forecasts the first calls of a run that learns them, from the states of a sample of contacts."""

from dataclasses import dataclass, field, replace

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.first_call import FirstCallLearner
from dispatcher.domain.forecast import Forecast
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import Status, Step
from dispatcher.domain.unchecked_send import AddressProof, accepted_sends, permitted_sends


@dataclass(slots=True, eq=False)
class FirstCallForecast:
    """Replaces state checks by sends, as a run would that meets the contacts one by one."""

    likeness: RowLikeness
    policy: DecisionPolicy
    learner: FirstCallLearner = field(default_factory=FirstCallLearner)
    addresses: AddressProof = field(default_factory=AddressProof)

    def adapt(
        self, forecast: Forecast, contact: Contact, conversation: Conversation, now: float
    ) -> Forecast:
        """Return the forecast of a contact with the first call that a run would choose.

        ``now`` is in seconds since the epoch.
        """
        cell = self.likeness.cell(contact.attributes, now)
        possible = permitted_sends(contact, self.policy)
        permitted = self.addresses.permitted(possible)
        call = self.learner.choose(cell, possible, permitted) or self.learner.check(cell)
        accepted = accepted_sends(contact, conversation)
        if call.step is not Step.CHECK:
            self.learner.end_send(call, accepted=call.step in accepted)
            if call.step in accepted:
                return replace(forecast, checks=forecast.checks - 1)
        self.addresses.compare(contact.key, contact.address, conversation.address)
        self.learner.end_check(call, accepted, 1.0)
        if call.step is Step.CHECK:
            return forecast
        links_at_once = call.step is Step.NOTIFY and forecast.status is Status.OPENED
        return replace(forecast, checks=forecast.checks - links_at_once, sends=forecast.sends + 1)
