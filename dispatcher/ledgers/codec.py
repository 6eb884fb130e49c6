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
from dispatcher.domain.status import REPLAYABLE, SendBlock
from dispatcher.ports import Claim, Intent, Settlement

RowValues = list[Any]
"""The values of a row of the ledger, in the order of the statement's columns."""
ChangeRecord = list[Any]
"""One change of a contact: its kind, the contact's id, and the values of `CHANGE_FIELDS`."""

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
microseconds for a contact. ``story`` is the contact's history; it is left out if it is empty.
"""

_NAMES = tuple(field.name for field in fields(Progress))
_VALUES = attrgetter(*_NAMES)
_DEFAULTS = _VALUES(NEW)
_SENT_ONCE = NEW.count_send()


def progress_json(progress: Progress) -> str | None:
    """Return as JSON what differs from `NEW`, None if nothing does."""
    if progress is _SENT_ONCE:  # as nearly all have it; a look-up takes four times as long
        return _SENT_ONCE_JSON
    return _changes_json(progress)


@lru_cache(maxsize=256)
def _changes_json(progress: Progress) -> str | None:
    values = zip(_NAMES, _VALUES(progress), _DEFAULTS, strict=True)
    changed = {name: value for name, value, default in values if value != default}
    return orjson.dumps(changed).decode() if changed else None


_SENT_ONCE_JSON = _changes_json(_SENT_ONCE)


def progress_of(stored: str | None) -> Progress:
    """Return the progress that `progress_json` wrote."""
    if stored is None:
        return NEW
    values = orjson.loads(stored)
    if "target" in values:
        values["target"] = Target(**values["target"])
    return Progress(**values)


def intent_change(intent: Intent, absent_after: int | None = None) -> ChangeRecord:
    """Return an intent as a change; for ``absent_after`` see `LookupAhead.pop_absence`."""
    decision, external_id = intent.decision, intent.external_contact_id
    if isinstance(decision, Notify):
        to: ChangeRecord = [decision.conversation_id, external_id, None, None]
    else:
        target = decision.target
        guest = [target.value, target.is_guest_id] if target else [None, None]
        to = [decision.previous, decision.external_contact_id, *guest]
    hashed = person_hash(external_id) if external_id else None
    intended: ChangeRecord = ["intend", intent.id, intent.step, intent.at, *to, hashed]
    limits = _limit_values(intent.limits)
    return [*intended, progress_json(intent.progress), *limits, absent_after]


def settlement_change(settlement: Settlement) -> ChangeRecord:
    """Return a settlement as a change. Unless it can be replayed, the target is removed."""
    progress = settlement.progress
    replayable = settlement.status in REPLAYABLE
    if progress.target is not None and not replayable:
        progress = replace(progress, target=None)
    values = _settlement_values(settlement)
    settled: ChangeRecord = ["park" if replayable else "settle", *values, progress_json(progress)]
    return _with_history(settled, settlement.history)


def deferral_change(
    id_: int, due: float, progress: Progress, history: Sequence[HistoryEntry]
) -> ChangeRecord:
    """Return a deferral as a change."""
    return _with_history(["defer", id_, due, progress_json(progress)], history)


def doubt_change(
    id_: int, look_at: float, progress: Progress, history: Sequence[HistoryEntry]
) -> ChangeRecord:
    """Return as a change that a send is in doubt."""
    return _with_history(["doubt", id_, look_at, progress_json(progress)], history)


def _with_history(change: ChangeRecord, history: Sequence[HistoryEntry]) -> ChangeRecord:
    if history:
        change.append(orjson.dumps(history)[1:-1].decode())
    return change


@lru_cache(maxsize=4096)  # needed at the admission, and again at the intent
def person_hash(external_contact_id: str) -> str:
    """Return the hash that identifies a person in the ledger, also after the id was erased.

    96 bits are enough for a billion people; a longer hash would make the index larger.
    """
    return person_as_spelled(canonical_id(external_contact_id))


def person_as_spelled(external_contact_id: str) -> str:
    """Return the hash of a person's id exactly as it is written, as older ledgers have it."""
    digest = sha256(external_contact_id.encode(errors="surrogatepass")).digest()
    return urlsafe_b64encode(digest[:12]).decode()


def key_hash(key: str) -> str:
    """Return the hash that stays of a contact's key after the contact was pruned or erased."""
    return sha256(key.encode()).hexdigest()[:32]


def contact_row(id_: int, campaign: int, status: str, due: float | None, new: Contact) -> RowValues:
    """Return a new contact in the order of the columns of ``add_contacts``."""
    attributes = orjson.dumps(dict(new.attributes)).decode() if new.attributes else None
    hashed = person_hash(new.external_contact_id) if new.external_contact_id else None
    digest = sha256(new.text.encode()).digest()
    return [id_, campaign, status, due, hashed, digest, attributes, *_contact_values(new)]


def claim_of(row: RowValues, block: str | None = None, due: float | None = None) -> Claim:
    """Return a claim from the columns of ``claims`` without the last two, due and block."""
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
    return Claim(id_, contact, progress_of(progress), SendBlock(block) if block else None, due)
