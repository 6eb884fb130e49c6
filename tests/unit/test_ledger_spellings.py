"""A UUID in another case is the same contact and the same person, in older ledgers too."""

from contextlib import closing

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.ledgers import schema
from dispatcher.ledgers.codec import key_hash, person_as_spelled, person_hash
from dispatcher.ledgers.spellings import spellings
from dispatcher.ledgers.write.admission import ClaimOptions, admit, reached_people, unknown_contacts
from dispatcher.ports import Batch

UPPER = "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
LOWER = UPPER.lower()
MIXED = "3f2504E0-4F89-41D3-9A0C-0305E82C3302"
TWICE = "3f2504E0-4F89-41D3-9A0C-0305E82C3303"
OTHER = "AF2504E0-4F89-41D3-9A0C-0305E82C3301"
ADD = (
    "INSERT INTO contact (campaign_id, lately, status, due, key, conversation_id, text_sha256, "
    "external_contact_id, person) VALUES (1, 0, 'ready', 0, ?, 'c', x'00', ?, ?)"
)


def reached(connection):
    return {person for (person,) in connection.execute("SELECT person FROM reached")}


def contact(key):
    return Contact(key, "c", "Hello")


@pytest.fixture
def older(tmp_path, monkeypatch):
    """Return a ledger that an older version began, with a key and a person in upper case."""
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:4])
        with closing(schema.open_for_writing(path)) as connection:
            connection.execute("INSERT INTO campaign (name, created_at) VALUES ('old', 0)")
            connection.execute(ADD, (UPPER, OTHER, person_as_spelled(OTHER)))
            for key in (MIXED, TWICE, TWICE.lower()):
                connection.execute(ADD, (key, None, None))
            for contact_id, person in ((1, OTHER), (99, UPPER)):
                row = (person_as_spelled(person), contact_id)
                connection.execute("INSERT INTO reached VALUES (0, ?, ?, 1, 0)", row)
    with closing(schema.open_for_writing(path)) as connection:
        connection.execute("INSERT INTO campaign (name, created_at) VALUES ('new', 0)")
        yield connection


def test_an_admitted_contact_is_not_new_in_lower_case(older):
    """Only the campaign that was there before is looked up in both cases."""
    assert unknown_contacts(older, 1, [contact(LOWER), contact("k")]) == [contact("k")]
    assert unknown_contacts(older, 2, [contact(LOWER)]) == [contact(LOWER)]


def test_a_pruned_contact_is_not_new_in_lower_case(older):
    """Its hash is that of the key as it was."""
    older.execute("DELETE FROM contact")
    older.execute("INSERT INTO pruned VALUES (1, ?)", (key_hash(UPPER),))
    assert unknown_contacts(older, 1, [contact(LOWER), contact("k")]) == [contact("k")]


def test_a_person_who_was_reached_is_known_in_any_case(older):
    """The hash that comes back is the one that the ledger uses now."""
    assert reached_people(older, 1, [LOWER, "x"]) == {person_hash(LOWER)}
    assert person_hash(UPPER) == person_hash(LOWER) != person_as_spelled(UPPER)


def test_the_people_of_contacts_with_ids_get_the_present_hash(older):
    """A cap over all campaigns finds them; who is known by a hash alone keeps that hash."""
    assert reached(older) == {person_hash(OTHER), person_as_spelled(UPPER)}
    people = older.execute("SELECT person FROM contact WHERE person IS NOT NULL").fetchall()
    assert people == [(person_hash(OTHER),)]


def test_a_key_in_mixed_case_is_the_one_in_lower_case(older):
    """Unless the campaign has the lower case as well: then both contacts stay."""
    assert unknown_contacts(older, 1, [contact(MIXED.lower()), contact(TWICE.lower())]) == []
    keys = {key for (key,) in older.execute("SELECT key FROM contact")}
    assert keys == {UPPER, MIXED.lower(), TWICE, TWICE.lower()}


def test_an_admission_gives_people_of_pruned_contacts_the_present_hash(older):
    """In a new campaign, too: claims, intents and caps compare that hash alone."""
    new = Contact("k", "c", "Hello", external_contact_id=LOWER)
    admit(older, 2, iter([100]), Batch([new]), ClaimOptions(0.0, 1))
    assert reached(older) == {person_hash(OTHER), person_hash(LOWER)}


def test_only_uuids_have_several_spellings():
    """Any other id differs from one in another case."""
    assert spellings(LOWER) == (LOWER, UPPER)
    assert spellings("Abc-1") == ("Abc-1",)
