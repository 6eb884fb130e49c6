"""No send begins after the tenure of the store: another run may have taken the contact over."""

from dispatcher.domain.status import Status, Step
from tests.support.engine import EngineFixture
from tests.support.virtual import in_virtual_time


class EndingTenure:
    """A tenure that a test ends and renews."""

    def __init__(self):
        self.seconds = 0.0

    def remaining_seconds(self):
        return self.seconds


@in_virtual_time
async def test_an_intent_after_the_tenure_is_retracted_and_nothing_is_sent():
    """Once the run holds its contacts again, the contact is sent to, once."""
    tenure = EndingTenure()
    engine = EngineFixture(tenure=tenure)

    def renew(id_):
        tenure.seconds = 30.0
        return retract(id_)

    retract = engine.ledger.retract
    engine.ledger.retract = renew
    row = await engine.deliver()
    assert row.status is Status.OPENED
    assert row.history == ["claim", "intend", "retract", "intend", "settle"]
    assert [request.step for request in engine.platform.requests].count(Step.OPEN) == 1
