"""Campaigns that came from a file of an old version, and may have ids in upper case.

Of contacts that were pruned only hashes are left, which cannot be spelled in another way. So the
keys and the people of a batch are looked up in both cases, as in the file; see `spellings`.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher.domain.contact import Contact
from dispatcher.ledgers.codec import key_hash
from dispatcher.ledgers.postgres.statements import QUESTIONS, fetch_all, fetch_row
from dispatcher.ledgers.spellings import forms_of_keys, older_hashes

if TYPE_CHECKING:
    from psycopg import Connection

_FIND = """
    SELECT COALESCE(bool_or(has_upper_case AND id = %(campaign)s), false),
        COALESCE(bool_or(has_upper_case), false)
    FROM dispatcher.campaign
"""
_RESPELL = """
    WITH moved AS (
        DELETE FROM dispatcher.reached
        USING unnest(%(older)s::text [], %(present)s::text []) AS form (older, present)
        WHERE reached.person || '' = form.older
        RETURNING form.present, reached.contact_id, reached.campaign_id, reached.at
    )
    INSERT INTO dispatcher.reached (person, contact_id, campaign_id, at) SELECT * FROM moved
    ON CONFLICT DO NOTHING
"""


class OlderIds(NamedTuple):
    """Whether a campaign may have keys in upper case, and any campaign people."""

    in_campaign: bool = False
    anywhere: bool = False


NO_OLDER_IDS = OlderIds()


def find_older_ids(connection: "Connection[Any]", campaign: int) -> OlderIds:
    """Return what a campaign may have. Only a copy of the ledger changes it."""
    return OlderIds(*fetch_row(connection, _FIND, {"campaign": campaign}))


def unknown_contacts(
    connection: "Connection[Any]", campaign: int, contacts: Sequence[Contact]
) -> Sequence[Contact]:
    """Return the contacts whose keys the campaign has or had in no form."""
    forms = forms_of_keys(contact.key for contact in contacts)
    hashes = {key_hash(form): key for form, key in forms.items()}
    of = {"campaign": campaign}
    keys = fetch_all(connection, QUESTIONS["known_keys"], {**of, "keys": list(forms)})
    pruned = fetch_all(connection, QUESTIONS["pruned_keys"], {**of, "hashes": list(hashes)})
    known = {forms[key] for (key,) in keys} | {hashes[found] for (found,) in pruned}
    return [contact for contact in contacts if contact.key not in known]


def respell_people(connection: "Connection[Any]", contacts: Iterable[Contact]) -> None:
    """Give people who are known by the hash of an upper-case id alone the present hash.

    Claims, intents and caps then find them.
    """
    ids = (contact.external_contact_id for contact in contacts)
    if older := older_hashes(id_ for id_ in ids if id_):
        values = {"older": list(older), "present": list(older.values())}
        connection.execute(_RESPELL, values)
