"""Commits that the server had confirmed and has lost: what they were, and what to do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ledgers.postgres.recent_groups import (
    KEPT_SECONDS,
    MAX_CONTACTS,
    LostContact,
    RecentGroups,
)
from dispatcher.ports import LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

_STOP_ALL = (
    "WITH nudged AS (UPDATE dispatcher.daemon SET nudge = nudge + 1 WHERE NOT ended) "
    "UPDATE dispatcher.campaign SET paused_at = extract(epoch FROM clock_timestamp()) "
    "WHERE paused_at IS NULL"
)
"""After a loss no run may go on before a person has corrected the ledger."""
_NAMES = (
    "SELECT contact.id, campaign.name, contact.key FROM dispatcher.contact "
    "INNER JOIN dispatcher.campaign ON campaign.id = contact.campaign_id "
    "WHERE contact.id = ANY (%s::bigint[])"
)


class Loss(NamedTuple):
    """``commits`` of a run are lost, which have changed ``contacts``.

    The contacts of the first ``unnamed`` of them are not known: they were committed too long ago.
    """

    commits: int
    contacts: Sequence[LostContact]
    unnamed: int


class LostCommitsError(LedgerError):
    """The server has lost commits that it had confirmed; ``contacts`` are what they changed."""

    def __init__(self, message: str, contacts: Sequence[LostContact] = ()) -> None:
        super().__init__(message)
        self.contacts = contacts


def find_loss(connection: "Connection[Any]", recent: RecentGroups, groups: tuple[int, int]) -> Loss:
    """Pause all campaigns, and return what the server has lost.

    ``groups`` are the number of the last group that the server has (-1: it does not know the run),
    and of the last one that was committed.
    """
    known, last = groups
    known = max(known, 0)
    connection.execute(_STOP_ALL)
    contacts = dict(recent.after(known))
    # a contact with a known key may be lost itself, and its id may be another contact's by now
    unnamed = [it.id for it in contacts.values() if not it.key]
    for id_, campaign, key in connection.execute(_NAMES, (unnamed,)):
        contacts[id_] = LostContact(id_, campaign, key)
    lost = [*contacts.values(), *recent.unclaimed_after(known)]
    return Loss(last - known, lost, max(0, recent.forgotten - known))


def lost_commits(address: PostgresAddress, loss: Loss) -> LostCommitsError:
    """Return the error that says what was lost, and what to do."""
    said = ledger_error(
        address,
        f"the server has lost {loss.commits} commits that it had confirmed: a replica has taken "
        "over that did not have them, or it was restored. What was sent meanwhile would be sent "
        f"again, so all campaigns are paused. {_named(loss)}; correct them, then run `dispatcher "
        "resume` (docs/high-availability.md)",
    )
    return LostCommitsError(str(said), loss.contacts)


def _named(loss: Loss) -> str:
    named = f"The {len(loss.contacts)} contacts are named in the log as ledger.lost_commit"
    if not loss.unnamed:
        return named
    return (
        f"{named}, but these are not all: those of the first {loss.unnamed} of these commits are "
        f"not known any more, because a run keeps only those of the last {KEPT_SECONDS / 60:.0f} "
        f"minutes, and {MAX_CONTACTS:,} at most. Find the others at the platform, in a sink of the "
        "lineage, or as contact.settled in the log"
    )
