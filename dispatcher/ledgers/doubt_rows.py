"""Reads rows of a ledger about contacts in doubt and unsettled sends."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dispatcher.domain.status import Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.ledgers.codec import RowValues, claim_of
from dispatcher.ports import InDoubtContact, KnownEffects

_CLAIM_FIELDS = 11
"""The first fields of a row are those of a claim."""


def in_doubt_contact(row: RowValues) -> InDoubtContact:
    """Return a contact in doubt from the columns of a claim and those of `unsettled_send`."""
    claim = claim_of(row[:_CLAIM_FIELDS])
    send = unsettled_send([claim.id, *row[_CLAIM_FIELDS:]])
    send = replace(send, ended_at=claim.progress.doubted_at)
    return InDoubtContact(claim.id, claim.contact, claim.progress, send)


def effects_of(
    links: Sequence[tuple[str, str | None, bool]], sends: Iterable[RowValues]
) -> KnownEffects:
    """Return what is known of messages and of unsettled sends.

    ``links`` are conversation, message, and whether the message opened the conversation; ``sends``
    are rows of `unsettled_send`.
    """
    return KnownEffects(
        messages=frozenset(message for _, message, _ in links if message is not None),
        conversations=frozenset(conversation for conversation, _, opened in links if opened),
        unsettled=list({row[0]: unsettled_send(row) for row in sends}.values()),
        unnamed=frozenset(conversation for conversation, message, _ in links if message is None),
    )


def unsettled_send(row: RowValues) -> UnsettledSend:
    """Return a send from its intent. Without an intent it is an open that cannot be found."""
    id_, step, conversation, identity, digest, at, *ended = row
    return UnsettledSend(
        id_,
        Step(step or Step.OPEN),
        conversation,
        identity,
        digest.lower(),
        float(at or 0.0),
        ended[0] if ended else None,
    )
