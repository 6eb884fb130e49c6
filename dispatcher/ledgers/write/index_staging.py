"""Rows that were written lately, and how they come to their places in large indexes.

Keys and people come in no order, so each new one would write a page of its own at a random place
of an index that has grown large, and each commit and checkpoint as many pages as there are
contacts in it. New rows therefore stand together, under ``lately = 1``, where they share pages;
they are moved to ``lately = 0`` in the moments in which the writer has nothing to do. A daemon
that keeps to a quota has plenty of those.

Nothing else brings a key or a person there while the ledger is open (an erased contact stays at
its place, under a name that no source has). So what was not there when somebody looked is not
there as long as no rows were moved since.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.ledgers.codec import person_of
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import Claim

MIN_STAGED = 1000
"""Rows are moved while there are more of a kind: so few share their pages anyway."""

MERGE_BATCH = 64
"""Rows of each kind that are moved at once: an operation that comes meanwhile waits for them."""

MAX_NEW_PEOPLE = 10_000
"""Contacts of which it is remembered that nobody had written to their people."""

_MOVES = ("move_keys", "move_people")


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a look found, which was taken after at least ``moves`` moves.

    ``keys`` are those that contacts of the campaign have. ``people`` are those that stand among
    the old rows; ``reached`` those who were written to in the campaign, lately or before, and
    whose send has ended.
    """

    moves: int
    keys: frozenset[str]
    people: frozenset[str]
    reached: frozenset[str]


class NewPersonCache:
    """Claimed contacts whose people did not stand among the old rows when they were admitted.

    Their intents need not look there again. Those that never come to an intent are forgotten
    when there are too many.
    """

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, int]] = {}

    def note(self, claims: Sequence[Claim], seen: LookupResult) -> None:
        """Keep those of ``claims`` whose people were looked for and not found."""
        if len(self._found) > MAX_NEW_PEOPLE:
            self._found.clear()
        for claim in claims:
            who = claim.contact.external_contact_id
            if who and person_of(who) not in seen.people:
                self._found[claim.id] = (who, seen.moves)

    def take(self, id_: int, external_contact_id: str | None) -> int | None:
        """Return after how many moves this person was not found; None if nobody looked."""
        who, moves = self._found.pop(id_, (None, 0))
        return moves if who is not None and who == external_contact_id else None


def merge_count(connection: sqlite3.Connection) -> int:
    """Return how often rows were moved since the ledger was opened for writing."""
    (times,) = connection.execute(SQL["moves"]).fetchone()
    return int(times)


def merge_staged(connection: sqlite3.Connection) -> bool:
    """Move some rows to their places, all or none; tell whether there were any.

    Raises:
        sqlite3.Error: nothing was moved.

    """
    connection.execute("SAVEPOINT move")
    try:
        moved = (
            sum(
                connection.execute(SQL[name], (MIN_STAGED, MERGE_BATCH)).rowcount for name in _MOVES
            )
            > 0
        )
        if moved:
            connection.execute(SQL["count_move"])
        connection.execute("RELEASE move")
    except BaseException:
        if connection.in_transaction:  # a full disk has undone it already
            connection.execute("ROLLBACK TO move")
            connection.execute("RELEASE move")
        raise
    return moved
