"""Who a person is, by all that a ledger has of them: ids, keys, conversations and hashes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher.ledgers.codec import person_as_spelled
from dispatcher.ledgers.spellings import spellings
from dispatcher.ports import LedgerError
from dispatcher.ports.care import ErasureTarget

Facts = Sequence[str | int | None]
"""A contact's id, key, conversation and external ids, person, and the ids of its lineage."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything by which the ledger identifies the person."""

    ids: frozenset[int] = frozenset()
    keys: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    externals: frozenset[str] = frozenset()
    person_hashes: frozenset[str] = frozenset()


class Records(Protocol):
    """What a ledger finds of a person."""

    def named(self, names: Sequence[str]) -> set[int]:
        """Return the contacts of the target's campaign with one of these keys or conversations."""
        ...

    def of(self, identity: Identity) -> set[int]:
        """Return the contacts of all campaigns that share something with an identity."""
        ...

    def facts(self, ids: Iterable[int]) -> Iterable[Facts]:
        """Return what is known of contacts that were not erased."""
        ...


def identify(records: Records, target: ErasureTarget) -> Identity:
    """Repeat the search by shared conversations and external ids until it adds nothing.

    Raises:
        LedgerError: the target names more than one person.

    """
    if target.is_external:
        names = frozenset(spellings(target.name))
        identity = Identity(externals=names, person_hashes=frozenset(map(person_as_spelled, names)))
    else:
        identity = _identify_by_name(records, target)
    while True:
        extended = _extend(records, identity, records.of(identity))
        if extended == identity:
            return identity
        identity = extended


def _identify_by_name(records: Records, target: ErasureTarget) -> Identity:
    ids = records.named(spellings(target.name))
    by_contact = [_extend(records, Identity(), {id_}).person_hashes for id_ in sorted(ids)]
    known = [hashes for hashes in by_contact if hashes]
    if any(not known[0] & hashes for hashes in known):
        raise LedgerError(
            f"{target.name!r} names more than one person; say which one with --campaign, or name "
            "the person with --external-contact"
        )
    if not ids:  # not a contact's own conversation: perhaps one that a message opened
        return Identity(conversations=frozenset(spellings(target.name)))
    return _extend(records, Identity(), ids)


def _extend(records: Records, identity: Identity, ids: set[int]) -> Identity:
    """Add the identifiers of the contacts with ``ids``; erased contacts add nothing."""
    found, keys, conversations, externals = set(), set(), set(), set()
    hashes = set(identity.person_hashes)
    for row in records.facts(ids):
        id_, key, conversation, external, intended, learnt, hashed, new, linked = row
        found.add(int(id_ or 0))
        keys.add(str(key))
        conversations |= {str(name) for name in (conversation, new) if name}
        externals |= {str(name) for name in (external, intended, learnt, linked) if name}
        hashes |= {str(hashed)} if hashed else set()
    externals |= identity.externals
    return Identity(
        ids=identity.ids | found,
        keys=identity.keys | keys,
        conversations=identity.conversations | conversations,
        externals=frozenset(externals),
        person_hashes=frozenset(
            hashes | {person_as_spelled(form) for name in externals for form in spellings(name)}
        ),
    )


def words_pattern(names: Iterable[str]) -> bytes:
    """Return a pattern that finds one of ``names`` as a whole word in the bytes of a row."""
    alternatives = b"|".join(re.escape(name.encode()) for name in sorted(names))
    return rb"(?<![\w-])(?:" + alternatives + rb")(?![\w-])"
