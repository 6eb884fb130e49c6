"""Erasure of one person on request, also beside runs. Hashes stay: the person is not new again."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.codec import key_hash, person_as_spelled, person_hash
from dispatcher.ledgers.maintenance.erase import REFUSALS
from dispatcher.ledgers.maintenance.identity import Facts, Identity, identify, words_pattern
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.orders import add_to_sums
from dispatcher.ledgers.postgres.prune import keep_keys, keep_reached, spans
from dispatcher.ledgers.postgres.statements import (
    MAINTENANCE,
    execute,
    fetch_all,
    fetch_row,
    transaction,
)
from dispatcher.ledgers.spellings import spellings
from dispatcher.ports.care import (
    ErasureReport,
    ErasureTarget,
    NotErased,
    ReportProgress,
    ignore_progress,
)

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.errors import Diagnostic

_OPEN = (Status.READY, Status.CLAIMED, Status.PARKED, "open")
"""Contacts of these statuses become skipped; all others keep theirs. 'open' would be damage."""
_TRIES = 100
_CLEANED = ("contact", "lineage", "rejected_row", "unsettled")


def erase_person(
    connection: "Connection[Any]",
    address: PostgresAddress,
    target: ErasureTarget,
    now: float,
    report: ReportProgress = ignore_progress,
) -> ErasureReport:
    """Erase a person from contacts, lineage and rejected rows of every campaign.

    Each contact is one transaction. A contact that a run has claimed is refused. Afterwards the
    tables are vacuumed, if this user may: old versions of rows, and samples of the planner, go. So
    they are also if all of it was erased before.

    Raises:
        LedgerError: there is no such campaign, or the key names several persons.

    """
    campaign = find_campaigns(connection, target.campaign, address).get(target.campaign or "")
    identity = identify(_DatabaseRecords(connection, campaign, report), target)
    erased, refused = 0, []
    for id_ in sorted(identity.ids):
        with transaction(connection):
            outcome = _erase(connection, id_, now)
        if isinstance(outcome, NotErased):
            refused.append(outcome)
        else:
            erased += outcome
    found = (target.name, *identity.keys, *identity.conversations, *identity.externals)
    names = {form for name in found for form in spellings(name)}
    rejected = _erase_rejected_rows(connection, names)
    known_before = not (erased or rejected or refused) and _was_known(connection, target)
    is_cleaned = erased or rejected or known_before  # another user may not have been permitted to
    skipped = _vacuum(connection) if is_cleaned else ()
    return ErasureReport(
        erased, rejected, tuple(refused), known_before, not_vacuumed=tuple(skipped)
    )


def _vacuum(connection: "Connection[Any]") -> Iterable[str]:
    """Remove old versions of rows and samples of the planner; return the tables that are skipped.

    The server skips what this user may not vacuum, with a warning alone.
    """
    skipped: list[str] = []
    severities: list[str | None] = []

    def note(said: "Diagnostic") -> None:
        severities.append(said.severity_nonlocalized)

    connection.add_notice_handler(note)
    for table in _CLEANED:
        severities.clear()
        connection.execute(f"VACUUM (ANALYZE) dispatcher.{table}")
        if "WARNING" in severities:
            skipped.append(f"dispatcher.{table}")
    connection.remove_notice_handler(note)
    return skipped


class _DatabaseRecords:
    """The contacts of a ledger, found span by span."""

    def __init__(
        self, connection: "Connection[Any]", campaign: int | None, report: ReportProgress
    ) -> None:
        self._connection, self._campaign, self._report = connection, campaign, report

    def named(self, names: Sequence[str]) -> set[int]:
        """Return the contacts of the campaign with one of these keys or conversations."""
        values = {"campaign": self._campaign, "names": list(names)}
        return self._search("seeds", "contact_id_range", values)

    def of(self, identity: Identity) -> set[int]:
        """Return the contacts of all campaigns that share something with an identity."""
        lists = {
            "conversations": list(identity.conversations),
            "externals": list(identity.externals),
            "person_hashes": list(identity.person_hashes),
            "quoted": [orjson.dumps(name).decode() for name in identity.externals],
        }
        ids = self._search("contacts_of", "contact_id_range", lists)
        ids |= self._search("lineage_contacts_of", "lineage_id_range", lists)
        return ids | self._select_ids("reached_of", lists)

    def facts(self, ids: Iterable[int]) -> Iterable[Facts]:
        """Return what is known of contacts that were not erased."""
        rows = fetch_all(self._connection, MAINTENANCE["facts"], {"ids": list(ids)})
        return [(*row[:5], row[5] and orjson.loads(row[5]), *row[6:]) for row in rows]

    def _search(self, statement: str, id_range: str, values: Mapping[str, Any]) -> set[int]:
        """Run a statement that selects ids over all rows of a table."""
        first, last, *_ = fetch_row(self._connection, MAINTENANCE[id_range])
        ids: set[int] = set()
        for after, until in spans(first, last):
            ids |= self._select_ids(statement, {**values, "after": after, "until": until})
            self._report(until - first + 1, last - first + 1)
        return ids

    def _select_ids(self, name: str, values: Mapping[str, Any]) -> set[int]:
        return {id_ for (id_,) in fetch_all(self._connection, MAINTENANCE[name], values)}


def _erase(connection: "Connection[Any]", id_: int, now: float) -> int | NotErased:
    if not fetch_all(connection, MAINTENANCE["lock_contact"], {"id": id_}):
        return 0
    status, reason, campaign, campaign_id, key, conversation, erased, person, progress, busy = (
        _locked_facts(connection, id_)
    )
    if status in REFUSALS:
        return NotErased(campaign, id_, REFUSALS[status])
    if busy:
        why = (
            f"the dispatcher {busy} works on it at this moment; pause the campaign, wait some "
            "seconds, and forget the rest"
        )
        return NotErased(campaign, id_, why)
    if erased:
        return 0
    keep_reached(connection, [id_])
    keep_keys(connection, [(campaign_id, key)])
    skipped = status in _OPEN
    values = {
        "id": id_,
        "status": str(Status.SKIPPED) if skipped else status,
        "reason": str(Reason.FORGOTTEN) if skipped else reason,
        "now": now,
        "person": person and person_hash(person),
        "key": f"forgotten:{key_hash(key)}",
        "conversation": f"forgotten:{key_hash(conversation)}",
        "progress": _without_person(progress),
    }
    execute(connection, MAINTENANCE["let_go"], {"id": id_})
    execute(connection, MAINTENANCE["erase_contact"], values)
    execute(connection, MAINTENANCE["erase_lineage"], {"id": id_})
    if skipped:
        less = [(campaign_id, status, reason, -1)] if reason else []
        more = (campaign_id, str(Status.SKIPPED), str(Reason.FORGOTTEN), 1)
        add_to_sums(connection, [*less, more])
    return 1


def _locked_facts(connection: "Connection[Any]", id_: int) -> "Sequence[Any]":
    """Return what is known of a contact; if it is ready, no run can claim it from then on."""
    facts: Sequence[Any] = ()
    for _ in range(_TRIES):
        is_locked = bool(fetch_all(connection, MAINTENANCE["lock_ready"], {"id": id_}))
        facts = fetch_row(connection, MAINTENANCE["contact_to_erase"], {"id": id_})
        if is_locked or facts[0] != Status.READY:  # else a run has just let it go
            break
    return facts


def _without_person(progress: str | None) -> str | None:
    values = orjson.loads(progress or "{}")
    kept = {k: v for k, v in values.items() if k not in ("target", "external_contact_id")}
    return orjson.dumps(kept).decode() if kept else None


def _erase_rejected_rows(connection: "Connection[Any]", names: Iterable[str]) -> int:
    """Erase the rejected rows that contain one of ``names`` as a whole word."""
    pattern = re.compile(words_pattern(names))
    first, last = fetch_row(connection, MAINTENANCE["rejected_id_range"])
    erased = 0
    for after, until in spans(first, last):
        span = {"after": after, "until": until}
        ids = [
            id_
            for id_, raw, detail in fetch_all(connection, MAINTENANCE["rejected_span"], span)
            if pattern.search(raw) or pattern.search(detail.encode())
        ]
        if ids:
            erased += execute(connection, MAINTENANCE["erase_rejected"], {"ids": ids})
    return erased


def _was_known(connection: "Connection[Any]", target: ErasureTarget) -> bool:
    """Return True if there is a hash of the target as what it was named, and of nothing else.

    The hash of a person stays beside their data, so it does not show that these were erased.
    """
    for form in spellings(target.name):
        key = None if target.is_external else key_hash(form)
        person = person_as_spelled(form) if target.is_external else None
        values = {"hash": key, "person_hash": person}
        if fetch_row(connection, MAINTENANCE["was_known"], values)[0]:
            return True
    return False
