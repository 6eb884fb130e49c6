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


def test_the_identity_of_a_row_goes_with_its_conversation():
    """A row that names the wrong person still does, one that names nobody still does."""
    rows = [
        {"conversation_id": "ended-ff-7", "external_contact_id": "x-ended-ff-7"},
        {"conversation_id": "swapped-ff-8", "external_contact_id": "x-somebody-else-swapped-ff-8"},
        {"conversation_id": "noidentity-ff-9", "external_contact_id": ""},
    ]
    assert list(renamed(iter(rows), 3)) == [
        {"conversation_id": "ended-00000003-0", "external_contact_id": "x-ended-00000003-0"},
        {
            "conversation_id": "swapped-00000003-1",
            "external_contact_id": "x-somebody-else-swapped-00000003-1",
        },
        {"conversation_id": "noidentity-00000003-2", "external_contact_id": ""},
    ]


def test_faults_are_added_to_the_demo(tmp_path):
    """The third world is the second one with a network that fails."""
    *_, demo, faults = worlds(10, 10, 10)
    assert faults.scenario.startswith(demo.scenario)
    faults.write(tmp_path)
