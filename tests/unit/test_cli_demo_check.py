"""The demo's check: it finds every difference between the ledger and the sandbox's log."""

from types import SimpleNamespace

import pytest

from dispatcher.cli.demo_check import SHOWN, compare, find_swallowed
from dispatcher.cli.demo_check import DemoEvidence as Evidence

EFFECTS = (
    {"messageId": "m-1", "kind": "notified", "conversationId": "active-1",
     "previousConversationId": None, "externalContactId": "x-1"},
    {"messageId": "m-2", "kind": "linked", "conversationId": "new-1-ended-2",
     "previousConversationId": "ended-2", "externalContactId": "x-2"},
)  # fmt: skip
LINEAGE = (
    SimpleNamespace(message_id="m-1", relation="notified", conversation_id="active-1",
                    previous_conversation_id="active-1", external_contact_id=None),
    SimpleNamespace(message_id=None, relation="linked", conversation_id="new-1-ended-2",
                    previous_conversation_id="ended-2", external_contact_id="x-2"),
)  # fmt: skip
CONTACTS = (
    SimpleNamespace(conversation_id="active-1", status="notified", reason="delivered"),
    SimpleNamespace(conversation_id="ended-2", status="opened", reason="delivered"),
)


def other(row, **changes):
    return SimpleNamespace(**(vars(row) | changes))


def test_agreement_is_reported_in_figures():
    """When all is right the demo says how much was compared."""
    agreed, words = compare(Evidence(EFFECTS, LINEAGE, CONTACTS))
    assert agreed
    assert "2 messages took effect" in words


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (Evidence((*EFFECTS, EFFECTS[0] | {"messageId": "m-3"}), LINEAGE, CONTACTS),
         "active-1 got 2 messages"),
        (Evidence(EFFECTS, LINEAGE[:1], CONTACTS), "from ended-2 into new-1-ended-2 is not in the"),
        (Evidence(EFFECTS[:1], LINEAGE, CONTACTS), "from ended-2 into new-1-ended-2 never took"),
        (Evidence(EFFECTS, (LINEAGE[0], other(LINEAGE[1], previous_conversation_id="ended-9")),
               CONTACTS), "from ended-9 into new-1-ended-2 never took"),
        (Evidence(EFFECTS, (LINEAGE[0], other(LINEAGE[1], external_contact_id="x-9")), CONTACTS),
         "the lineage says ('linked', 'x-9') of new-1-ended-2, the sandbox ('linked', 'x-2')"),
        (Evidence(EFFECTS, (other(LINEAGE[0], message_id="m-9"), LINEAGE[1]), CONTACTS),
         "('notified', 'm-9') of active-1"),
        (Evidence(EFFECTS, LINEAGE, (other(CONTACTS[0], status="parked", reason="identity"),)),
         "active-1 ended as ('parked', 'identity')"),
        (Evidence(EFFECTS, LINEAGE, CONTACTS, (17,)),
         "line 17 of the contacts' file became neither a contact nor a rejected row"),
    ],
)  # fmt: skip
def test_every_difference_is_found(evidence, words):
    """Sent twice, missing, invented, linked to another one, ended otherwise: each is named."""
    agreed, text = compare(evidence)
    assert not agreed
    assert words in text


def test_a_swallowed_row_is_found():
    """A line is accounted for by its contact or its rejection, and by nothing else."""
    rows = [(2, "active-1"), (3, "ended-2"), (4, "active-9"), (5, "")]
    assert find_swallowed(rows, CONTACTS, rejected=[5]) == (4,)


def test_many_differences_are_cut_short():
    """A long list of differences ends with their number."""
    contacts = [other(CONTACTS[0], conversation_id=f"ended-{n}") for n in range(SHOWN + 5)]
    assert "and 5 more" in compare(Evidence((), (), tuple(contacts)))[1]
