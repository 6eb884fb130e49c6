"""Changes of a contact as JSON arrays: each value is where the triggers look for it."""

from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Open
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.codec import (
    CHANGE_FIELDS,
    deferral_change,
    doubt_change,
    intent_change,
    person_hash,
    settlement_change,
)
from dispatcher.ports import Intent, Limits, Settlement

STORY = [[1000, "check", "200"]]
PROGRESS = Progress(sends=1)


def named(fields):
    kind, id_, *values = fields
    assert id_ == 7
    return kind, dict(zip(CHANGE_FIELDS[kind], values, strict=True))


def test_an_intent():
    """What is to be sent, to whom, and what limits it."""
    decision = Open(Target("guest", is_guest_id=True), "external", "earlier")
    limits = Limits(one_per_person=True, cap=3, cap_since=5.0)
    intent = Intent(7, Step.OPEN, decision, 10.0, PROGRESS, "person", limits)
    assert named(intent_change(intent, 2)) == (
        "intend",
        {
            "step": Step.OPEN, "at": 10.0, "conversation": "earlier",
            "external_contact": "external",
            "target": "guest", "is_guest_id": 1, "progress": '{"sends":1}',
            "person": person_hash("person"), "one_per_person": 1, "cap": 3, "cap_since": 5.0,
            "absent_after": 2,
        },
    )  # fmt: skip


def test_a_settlement():
    """A final one and a parked one have the same fields."""
    ends = {"status": Status.NOTIFIED, "reason": Reason.DELIVERED, "at": 10.0}
    trace = {"relation": Relation.NOTIFIED, "state_seen": "active", "state_at": 8.0, "sent_at": 9.0}
    fields = settlement_change(
        Settlement(
            7, **ends, **trace, progress=PROGRESS, conversation_id="c", message_id="m",
            external_contact_id="e", correlation_id="r", words="w", history=STORY,
        )
    )  # fmt: skip
    assert named(fields) == (
        "settle",
        {
            **ends, **trace, "correlation_id": "r", "words": "w", "progress": '{"sends":1}',
            "conversation_id": "c", "message_id": "m", "external_contact_id": "e",
            "story": '[1000,"check","200"]',
        },
    )  # fmt: skip
    parked = Settlement(7, Status.PARKED, Reason.IDENTITY, 1.0, PROGRESS, history=STORY)
    assert named(settlement_change(parked))[0] == "park"


def test_a_deferral_and_a_doubt():
    """A time, what was learnt, and what was done."""
    rest = {"progress": '{"sends":1}', "story": '[1000,"check","200"]'}
    assert named(deferral_change(7, 9.0, PROGRESS, STORY)) == ("defer", {"due": 9.0, **rest})
    assert named(doubt_change(7, 9.0, PROGRESS, STORY)) == ("doubt", {"look_at": 9.0, **rest})
