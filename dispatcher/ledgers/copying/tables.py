"""The tables that are a ledger, in the form that both kinds of ledgers have them in.

A row is a tuple of plain values. What belongs to a place or to a run is left out: where a file
lives, leases, what is staged or held.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

Kind = Literal["whole", "real", "text", "bytes", "flag"]
"""What a column has; a flag is 0, 1 or None."""
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """A table: its columns, and those of its key, in whose order it is read."""

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns)

    def place(self, column: str) -> int:
        """Return the place of a column in a row."""
        return self.names.index(column)


def _table(name: str, key: str, *, columns: str) -> LedgerTable:
    """Return a table from a list of columns, each with its kind."""
    pairs = [part.split() for part in columns.split(",")]
    kinds = {column: cast("Kind", kind) for column, kind in pairs}
    return LedgerTable(name, kinds, tuple(key.split()))


CONTACT = _table(
    "contact",
    "id",
    columns="""id whole, campaign_id whole, status text, reason text, due real, settled_at real,
    look_at real, intent_at real, not_before real, expires_at real, intent_target_is_guest_id flag,
    intent_step text, intent_conversation_id text, intent_external_contact_id text,
    intent_target text, progress text, key text, conversation_id text, external_contact_id text,
    person text, correlation_id text, words text, text_sha256 bytes, attributes text,
    subject text, address text, text text, story text""",
)
LINEAGE = _table(
    "lineage",
    "id",
    columns="""id whole, contact_id whole, state_at real, sent_at real, verified_at real,
    relation text, conversation_id text, message_id text, external_contact_id text,
    state_seen text, correlation_id text, verified text""",
)
SINK = _table(
    "sink", "name part",
    columns="name text, part text, token text, cursor text, sending_to text, origin text",
)  # fmt: skip
TABLES = (
    _table(
        "campaign",
        "id",
        columns="""id whole, name text, created_at real, paused_at real, rows_read whole,
        admitted whole, duplicates whole, filtered whole, has_upper_case flag""",
    ),
    CONTACT,
    _table(
        "reached",
        "person contact_id",
        columns="person text, contact_id whole, campaign_id whole, at real",
    ),
    LINEAGE,
    _table(
        "rejected_row",
        "id",
        columns="""id whole, campaign_id whole, line whole, at real, file text, reason text,
        detail text, raw bytes""",
    ),
    _table(
        "stream",
        "campaign_id fingerprint",
        columns="""campaign_id whole, fingerprint text, name text, at text, row_count whole,
        done flag""",
    ),
    _table(
        "settled_sum",
        "campaign_id status reason",
        columns="campaign_id whole, status text, reason text, contacts whole",
    ),
    _table(
        "rejected_sum",
        "campaign_id reason",
        columns="campaign_id whole, reason text, row_count whole",
    ),
    _table("pruned", "campaign_id key_hash", columns="campaign_id whole, key_hash text"),
    _table(
        "receipt",
        "campaign_id request_key",
        columns="campaign_id whole, request_key text, digest text, at real, result text",
    ),
    SINK,
    _table(
        "notice",
        "number",
        columns="""number whole, sink text, id text, event text, campaign text, at real,
        facts text, due flag""",
    ),
)
"""All of them, in the order in which they are copied: what others refer to comes first."""
