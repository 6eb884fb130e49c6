"""Rows of the ledger and figures as tables of Arrow."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.lineage_check import LineageLink, LinkVerdict
from dispatcher.ports.stored_rows import ContactRow, LineageRow, StoredRejectedRow
from dispatcher.sources.memory.row_source import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGERS = frozenset(
    {"row", "line", "contacts", "rows", "requests", "low", "high", "attempts", "sends"}
)
_TIMES = frozenset(
    {"due", "settled_at", "not_before", "expires_at", "intent_at", "state_at", "sent_at", "time",
     "read_at"}
)  # fmt: skip

_CONTACT = (
    "campaign", "contact_key", "conversation_id", "status", "reason", "due", "settled_at",
    "attempts", "sends", "correlation_id",
)  # fmt: skip
_ROW = (
    "row", "contact_key", "previous_conversation_id", "outcome", "reason", "detail", "duplicate",
    "relation", "conversation_id", "message_id", "sent_at",
)  # fmt: skip
_HISTORY = (
    "campaign", "contact_key", "time", "what", "answer", "means", "state", "correlation_id",
    "decision",
)  # fmt: skip
_REJECTED = ("row", "reason", "detail")
_STORED_REJECTED = ("campaign", "file", "line", "reason", "detail", "raw", "read_at")
_FAILING = ("verdict", "relation", "previous_conversation_id", "conversation_id")

REJECTED_ROW = "rejected_row"
"""The outcome of a row that could not become a contact."""
FILTERED = "filtered"
"""The outcome of a row that ``source.filter`` excludes."""
NOT_READ = "not_read"
"""The outcome of a row that was not read, since the dispatch ended before."""


def make_table(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> "pa.Table":
    """Return a table with these columns; a value that a row does not have is null."""
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    found = list(rows)
    types = {name: _type(pa, name) for name in names}
    columns = {
        name: pa.array([_value(name, row.get(name)) for row in found], type=types[name])
        for name in names
    }
    return pa.table(columns, schema=pa.schema(types.items()))


def _type(pa: Any, name: str) -> Any:
    if name in _TIMES:
        return pa.timestamp("us", tz="UTC")
    if name == "duplicate":
        return pa.bool_()
    return pa.int64() if name in _INTEGERS else pa.string()


def _value(name: str, value: Any) -> Any:
    if value is None or name in _INTEGERS or name == "duplicate":
        return value
    if name in _TIMES:
        return datetime.fromtimestamp(value, UTC)
    return value if type(value) is str else str(value)


def contact_table(campaign_rows: Iterable[tuple[str, ContactRow]]) -> "pa.Table":
    """Return contacts, each with the name of its campaign."""
    return make_table(
        _CONTACT,
        (
            {
                "campaign": campaign,
                "contact_key": row.key,
                "conversation_id": row.conversation_id,
                "status": row.status,
                "reason": row.reason,
                "due": row.due,
                "settled_at": row.settled_at,
                "attempts": row.progress.attempts,
                "sends": row.progress.sends,
                "correlation_id": row.correlation_id,
            }
            for campaign, row in campaign_rows
        ),
    )


def outcome_table(
    outcomes: Sequence[Outcome], contacts: Mapping[str, ContactRow], links: Mapping[str, LineageRow]
) -> "pa.Table":
    """Return what became of each row of the input."""
    earlier: set[str] = set()
    rows: list[dict[str, Any]] = []
    for number, outcome in enumerate(outcomes):
        row: dict[str, Any] = {"row": number, "duplicate": False}
        match outcome:
            case Contact():
                row |= _contact_outcome(outcome, contacts, links)
                row["duplicate"] = outcome.key in earlier
                earlier.add(outcome.key)
            case RejectedRow():
                row |= {"outcome": REJECTED_ROW, "reason": outcome.reason, "detail": outcome.detail}
            case None:
                row["outcome"] = FILTERED
        rows.append(row)
    return make_table(_ROW, rows)


def _contact_outcome(
    contact: Contact, contacts: Mapping[str, ContactRow], links: Mapping[str, LineageRow]
) -> dict[str, Any]:
    found, link = contacts.get(contact.key), links.get(contact.key)
    row: dict[str, Any] = {
        "contact_key": contact.key,
        "previous_conversation_id": contact.conversation_id,
        "outcome": NOT_READ if found is None else found.status,
        "reason": None if found is None else found.reason,
    }
    if link is not None:
        for name in ("relation", "conversation_id", "message_id", "sent_at"):
            row[name] = getattr(link, name)
    return row


def rejected_table(outcomes: Sequence[Outcome]) -> "pa.Table":
    """Return the rows of the input that could not become contacts."""
    return make_table(
        _REJECTED,
        (
            {"row": number, "reason": outcome.reason, "detail": outcome.detail}
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome, RejectedRow)
        ),
    )


def stored_rejected_table(rows: Iterable[tuple[str, StoredRejectedRow]]) -> "pa.Table":
    """Return the rejected rows of a ledger, each with the name of its campaign."""
    return make_table(
        _STORED_REJECTED,
        (
            {
                "campaign": campaign,
                "file": row.file,
                "line": row.line,
                "reason": row.reason,
                "detail": row.detail,
                "raw": row.raw.decode(errors="replace"),
                "read_at": row.at,
            }
            for campaign, row in rows
        ),
    )


def history_table(contacts: Iterable[Mapping[str, Any]]) -> "pa.Table":
    """Return the entries of the histories of contacts, one a row."""
    return make_table(
        _HISTORY,
        (
            {"campaign": contact["campaign"], "contact_key": contact["key"], **entry}
            for contact in contacts
            for entry in contact["story"]
        ),
    )


def failing_table(failing: Sequence[tuple[LineageLink, LinkVerdict]]) -> "pa.Table":
    """Return links that the platform does not confirm."""
    return make_table(
        _FAILING,
        (
            {
                "verdict": verdict,
                "relation": link.relation,
                "previous_conversation_id": link.previous_conversation_id,
                "conversation_id": link.conversation_id,
            }
            for link, verdict in failing
        ),
    )


def plan_tables(report: Mapping[str, Any]) -> tuple["pa.Table", "pa.Table"]:
    """Return the outcomes and the requests of a plan, with their intervals."""
    outcomes = make_table(
        ("status", "reason", "contacts", "low", "high"),
        (
            {"status": status, "reason": reason, "contacts": span["estimate"], **span}
            for status, reasons in report["contacts"].items()
            for reason, span in reasons.items()
        ),
    )
    requests = make_table(
        ("kind", "requests", "low", "high"),
        (
            {"kind": kind, "requests": span["estimate"], **span}
            for kind, span in report["requests"].items()
        ),
    )
    return outcomes, requests


def status_tables(report: Mapping[str, Any]) -> tuple["pa.Table", "pa.Table"]:
    """Return the contacts by status and reason, and the rows by what became of them."""
    contacts = make_table(
        ("campaign", "status", "reason", "contacts"),
        (
            {"campaign": one["campaign"], "status": status, "reason": reason, "contacts": number}
            for one in report["campaigns"]
            for status, reasons in one["contacts"].items()
            for reason, number in reasons.items()
        ),
    )
    rows = make_table(
        ("campaign", "outcome", "reason", "rows"),
        (
            {"campaign": one["campaign"], **row}
            for one in report["campaigns"]
            for row in _row_counts(one["rows"])
        ),
    )
    return contacts, rows


def _row_counts(rows: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name in ("admitted", "duplicates", FILTERED):
        yield {"outcome": name, "rows": rows[name]}
    for reason, number in rows["rejected"].items():
        yield {"outcome": REJECTED_ROW, "reason": reason, "rows": number}
