"""Conversion between rows of the ledger and the types of ports and domain."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any

import orjson

from dispatcher.domain.contact import Contact
from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify
from dispatcher.domain.ids import canonical_id
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import SendBlock, Status
from dispatcher.ports import Claim, Intent, Settlement

Fields = list[Any]
"""A row of the ledger, or one change of a contact: its kind, the contact's id, `CHANGE_FIELDS`."""

_SETTLEMENT = (
    "status", "reason", "at", "correlation_id", "words", "relation", "conversation_id",
    "message_id", "external_contact_id", "state_seen", "state_at", "sent_at",
)  # fmt: skip
_settlement_values = attrgetter("id", *_SETTLEMENT)
_limit_values = attrgetter("one_per_person", "cap", "cap_since")
_contact_values = attrgetter(
    "key", "conversation_id", "external_contact_id", "not_before", "expires_at", "subject",
    "address", "text",
)  # fmt: skip
CHANGE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "intend": (
        "step", "at", "conversation", "external_contact", "target", "is_guest_id",
        "person", "progress", "one_per_person", "cap", "cap_since", "absent_after",
    ),
    "retract": (),
    "release": ("due",),
    "defer": ("due", "progress", "story"),
    "doubt": ("look_at", "progress", "story"),
    "look_again": ("look_at",),
    "settle": (*_SETTLEMENT, "progress", "story"),
    "park": (*_SETTLEMENT, "progress", "story"),
}  # fmt: skip
"""The fields of each kind of change, in order, after kind and id.

A change is an array because triggers read an object's fields by name 10 to 15% slower: about 10
microseconds for a contact. ``story`` is left out if it is empty.
"""

_NAMES = tuple(field.name for field in fields(Progress))
_VALUES = attrgetter(*_NAMES)
_DEFAULTS = _VALUES(NEW)


@lru_cache(maxsize=256)
def progress_json(progress: Progress) -> str | None:
    """Return as JSON what differs from `NEW`, None if nothing does."""
    values = zip(_NAMES, _VALUES(progress), _DEFAULTS, strict=True)
    changed = {name: value for name, value, default in values if value != default}
    return orjson.dumps(changed).decode() if changed else None


def progress_of(stored: str | None) -> Progress:
    """Return the progress that `progress_json` wrote."""
    if stored is None:
        return NEW
    values = orjson.loads(stored)
    if "target" in values:
        values["target"] = Target(**values["target"])
    return Progress(**values)


def intend_fields(intent: Intent, absent_after: int | None = None) -> Fields:
    """Return an intent as a change; for ``absent_after`` see `LargeLedger.absent_after`."""
    decision, external_id = intent.decision, intent.external_contact_id
    if isinstance(decision, Notify):
        to: Fields = [decision.conversation_id, external_id, None, None]
    else:
        target = decision.target
        guest = [target.value, target.is_guest_id] if target else [None, None]
        to = [decision.previous, decision.external_contact_id, *guest]
    person = person_of(external_id) if external_id else None
    intended: Fields = ["intend", intent.id, intent.step, intent.at, *to, person]
    limits = _limit_values(intent.limits)
    return [*intended, progress_json(intent.progress), *limits, absent_after]


def settle_fields(settlement: Settlement) -> Fields:
    """Return a settlement as a change. Unless it parks the contact, the target is removed."""
    progress = settlement.progress
    parked = settlement.status is Status.PARKED
    if progress.target is not None and not parked:
        progress = replace(progress, target=None)
    values = _settlement_values(settlement)
    settled: Fields = ["park" if parked else "settle", *values, progress_json(progress)]
    return _with_story(settled, settlement.story)


def defer_fields(id_: int, due: float, progress: Progress, story: Sequence[HistoryEntry]) -> Fields:
    """Return a deferral as a change."""
    return _with_story(["defer", id_, due, progress_json(progress)], story)


def doubt_fields(
    id_: int, look_at: float, progress: Progress, story: Sequence[HistoryEntry]
) -> Fields:
    """Return as a change that a send is in doubt."""
    return _with_story(["doubt", id_, look_at, progress_json(progress)], story)


def _with_story(fields: Fields, story: Sequence[HistoryEntry]) -> Fields:
    if story:
        fields.append(orjson.dumps(story)[1:-1].decode())
    return fields


@lru_cache(maxsize=4096)  # needed at the admission, and again at the intent
def person_of(external_contact_id: str) -> str:
    """Return the hash that identifies a person in the ledger, also after the id was erased.

    96 bits are enough for a billion people; a longer hash would make the index larger.
    """
    return person_as_spelled(canonical_id(external_contact_id))


def person_as_spelled(external_contact_id: str) -> str:
    """Return `person_of`, but for a UUID in another case another hash, as older ledgers have it."""
    digest = sha256(external_contact_id.encode(errors="surrogatepass")).digest()
    return urlsafe_b64encode(digest[:12]).decode()


def key_hash(key: str) -> str:
    """Return the hash that stays of a contact's key after the contact was pruned or erased."""
    return sha256(key.encode()).hexdigest()[:32]


def contact_row(id_: int, campaign: int, status: str, due: float | None, new: Contact) -> Fields:
    """Return a new contact in the order of the columns of ``add_contacts``."""
    attributes = orjson.dumps(dict(new.attributes)).decode() if new.attributes else None
    person = person_of(new.external_contact_id) if new.external_contact_id else None
    digest = sha256(new.text.encode()).digest()
    return [id_, campaign, status, due, person, digest, attributes, *_contact_values(new)]


def claim_of(row: Fields, block: str | None = None) -> Claim:
    """Return a claim from the columns of ``due_contacts`` without the last one, the block."""
    id_, progress, key, conversation, text, external_id, address, subject, *rest = row
    not_before, expires_at, attributes = rest
    contact = Contact(
        key,
        conversation,
        text,
        external_contact_id=external_id,
        address=address,
        subject=subject,
        not_before=not_before,
        expires_at=expires_at,
        attributes=orjson.loads(attributes) if attributes else {},
    )
    return Claim(id_, contact, progress_of(progress), SendBlock(block) if block else None)
