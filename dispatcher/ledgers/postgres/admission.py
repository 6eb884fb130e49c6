"""Admission and claims: what is passed to the functions of the database, and what they return."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher.domain.contact import Contact
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import claim_of, contact_row, key_hash
from dispatcher.ledgers.postgres.older_ids import (
    NO_OLDER_IDS,
    OlderIds,
    respell_people,
    unknown_contacts,
)
from dispatcher.ledgers.postgres.text import dumps, loads
from dispatcher.ports import (
    RECEIPT_SECONDS,
    Admitted,
    Batch,
    Claim,
    Receipt,
    RejectedPostRow,
    StreamMovedError,
)

if TYPE_CHECKING:
    from psycopg import Connection

_ADMIT = "SELECT dispatcher.admit(%s, %s, %s::jsonb)"
_CLAIM = "SELECT dispatcher.claim(%s, %s, %s, %s, %s::bigint[])"


class ClaimLimit(NamedTuple):
    """Claim up to ``number`` contacts that are due at ``now`` (seconds since the epoch)."""

    number: int
    now: float


def admit(
    connection: "Connection[Any]",
    me: int,
    campaign: int,
    batch: Batch,
    claiming: ClaimLimit,
    older: OlderIds = NO_OLDER_IDS,
) -> Admitted:
    """Write a batch in the open transaction, and claim some of it.

    ``older`` says whether ids are also looked up in upper case.

    Raises:
        StreamMovedError: the ledger has another place of the stream than the batch follows.

    """
    contacts: dict[str, Contact] = {}
    for contact in batch.contacts:
        contacts.setdefault(contact.key, contact)
    unique: Sequence[Contact] = list(contacts.values())
    if older.in_campaign:
        unique = unknown_contacts(connection, campaign, unique)
    if older.anywhere:
        respell_people(connection, unique)
    values = (me, campaign, dumps(_batch(batch, unique, claiming)))
    row = connection.execute(_ADMIT, values).fetchone()
    answer = loads(row[0]) if row else {}
    if "moved" in answer:
        raise StreamMovedError(batch.stream.name if batch.stream else "")
    if "receipt" in answer:
        return _repeated(batch, *answer["receipt"])
    claims, later, unclaimed = [], [], []
    for place, id_, block in answer["new"]:
        contact = unique[place]
        if id_ is not None:
            claims.append(Claim(id_, contact, block=SendBlock(block) if block else None))
        elif batch.stream is None:
            unclaimed.append(contact.key)
        if contact.not_before is not None and contact.not_before > claiming.now:
            later.append(contact.not_before)
    admitted = len(answer["new"])
    return Admitted(admitted, len(batch.contacts) - admitted, claims, later, unclaimed=unclaimed)


def claim(
    connection: "Connection[Any]",
    me: int,
    campaign: int,
    claiming: ClaimLimit,
    ids: Iterable[int] | None = None,
) -> list[Claim]:
    """Claim contacts that are due, or those among ``ids`` that are ready."""
    values = (me, campaign, claiming.number, claiming.now, None if ids is None else list(ids))
    row = connection.execute(_CLAIM, values).fetchone()
    rows = loads(row[0]) if row and row[0] is not None else []
    return [claim_of(found[:-2], found[-1], found[-2]) for found in rows]


def _batch(batch: Batch, contacts: Sequence[Contact], claiming: ClaimLimit) -> dict[str, Any]:
    stream, request = batch.stream, batch.request
    return {
        "contacts": [_row(contact) for contact in contacts],
        "rejected": [
            (row.file, row.line, row.reason, row.detail, b64encode(row.raw).decode())
            for row in batch.rejected
        ],
        "rows": batch.rows,
        "duplicates": len(batch.contacts) - len(contacts),
        "filtered": batch.filtered,
        "stream": stream
        and (stream.name, stream.at, stream.rows, stream.done, stream.fingerprint, batch.before),
        "claim_limit": claiming.number,
        "now": claiming.now,
        "request": request
        and (
            request.key,
            request.digest,
            dumps([(row.line, row.reason, row.detail) for row in batch.rejected]),
            claiming.now - RECEIPT_SECONDS,
        ),
    }


def _row(contact: Contact) -> Sequence[Any]:
    _, _, _, _, person, digest, attributes, *values = contact_row(0, 0, "", None, contact)
    key, conversation, external_id, not_before, expires_at, subject, address, text = values
    return (
        key, conversation, external_id, not_before, expires_at, subject, address, text, person,
        digest.hex(), attributes, key_hash(key),
    )  # fmt: skip


def _repeated(batch: Batch, digest: str, result: str) -> Admitted:
    if batch.request is None or digest != batch.request.digest:
        return Admitted(0, 0, (), key_reused=True)
    admitted, duplicates, filtered, rejected = loads(result)
    rows = [RejectedPostRow(*row) for row in rejected]
    return Admitted(0, 0, (), receipt=Receipt(admitted, duplicates, filtered, rows))
