"""The worlds in which the dispatcher is compared with what users would run instead."""

import csv

from benchmarks.worlds import renamed, worlds
from dispatcher.sandbox.conversation_kinds import kind_name


def read(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_run_has_the_same_contacts_with_conversations_of_its_own(tmp_path):
    """Kinds, order and names are the same, no conversation is in two copies."""
    *_, demo, _ = worlds(10, 10, 300)
    demo.write(tmp_path)
    first, second = (read(demo.copy(tmp_path, number)) for number in (1, 2))
    kinds = [[kind_name(row["conversation_id"]) for row in rows] for rows in (first, second)]
    assert kinds[0] == kinds[1]
    assert "" not in kinds[0]
    assert len({row["conversation_id"] for row in first + second}) == 600
    assert [row["first_name"] for row in first] == [row["first_name"] for row in second]


def test_what_a_row_says_goes_with_its_conversation():
    """A row that names the wrong person or nobody still does, and the session's state is added."""
    rows = [
        {"conversation_id": "ended-ff-7", "external_contact_id": "x-ended-ff-7"},
        {"conversation_id": "swapped-ff-8", "external_contact_id": "x-somebody-else-swapped-ff-8"},
        {"conversation_id": "noidentity-ff-9", "external_contact_id": ""},
        {"conversation_id": "noaddress-ff-1", "external_contact_id": "x-noaddress-ff-1"},
        {"conversation_id": "ringing-ff-2", "external_contact_id": "x-ringing-ff-2"},
    ]
    copied = [tuple(row.values()) for row in renamed(iter(rows), 3)]
    assert copied == [
        ("ended-00000003-0", "x-ended-00000003-0", "a-ended-00000003-0", "ended"),
        (
            "swapped-00000003-1", "x-somebody-else-swapped-00000003-1",
            "a-swapped-00000003-1", "ended",
        ),
        ("noidentity-00000003-2", "", "a-noidentity-00000003-2", "ended"),
        ("noaddress-00000003-3", "x-noaddress-00000003-3", "", "ended"),
        ("ringing-00000003-4", "x-ringing-00000003-4", "a-ringing-00000003-4", "open"),
    ]  # fmt: skip


def test_faults_are_added_to_the_demo(tmp_path):
    """The third world is the second one with a network that fails."""
    *_, demo, faults = worlds(10, 10, 10)
    assert faults.scenario.startswith(demo.scenario)
    faults.write(tmp_path)
