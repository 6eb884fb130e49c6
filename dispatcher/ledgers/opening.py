"""Opens the ledger of a run: its lock, the record of where it lives, and its campaign."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from dispatcher.ledgers import campaigns
from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.exclusive import ExclusiveLedger
from dispatcher.ledgers.file_system import check_local
from dispatcher.ledgers.registration import OpenOptions, register
from dispatcher.ledgers.statements import SQL


@dataclass(frozen=True, slots=True)
class OpenedLedger:
    """A ledger as it is after it was opened.

    ``campaign`` is the campaign's id, ``last_id`` the highest id of a contact. ``adopted`` has what
    shows that it was a copy; None: it was not one.
    """

    exclusive: ExclusiveLedger
    campaign: int
    last_id: int
    adopted: str | None
    created: bool


def open_ledger(path: Path, campaign: str, now: float, options: OpenOptions) -> OpenedLedger:
    """Lock and open a ledger, and record that it is open. Create the file if it does not exist.

    Raises:
        CopiedLedgerError: it is a copy, and ``options`` does not adopt it.
        LedgerError: another process has locked it, or it cannot be used.

    """
    created = not path.exists()
    exclusive, adopted = open_registered(path, now, options)
    try:
        with translated_errors(path):
            connection = exclusive.connection
            id_ = campaigns.ensure_campaign(connection, campaign, now)
            (last_id,) = connection.execute(SQL["last_id"]).fetchone()
    except BaseException:
        exclusive.close()
        raise
    return OpenedLedger(exclusive, id_, last_id, adopted, created)


def open_registered(
    path: Path, now: float, options: OpenOptions
) -> tuple[ExclusiveLedger, str | None]:
    """Lock and open a ledger, record that it is open, and return what showed that it was a copy.

    Raises:
        CopiedLedgerError: it is a copy, and ``options`` does not adopt it.
        LedgerError: another process has locked it, or it cannot be used.

    """
    if not options.allow_network_filesystem:
        check_local(path)
    exclusive = ExclusiveLedger.open(path)
    try:
        with translated_errors(path):
            adopted = register(exclusive.connection, exclusive.lock, path, now, adopt=options.adopt)
    except BaseException:
        exclusive.close()
        raise
    return exclusive, adopted


def close_unused(opening: asyncio.Future[OpenedLedger]) -> None:
    """Close a ledger whose caller was cancelled while it was opened."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().exclusive.close()
