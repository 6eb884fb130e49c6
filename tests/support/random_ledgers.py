"""Ledgers in files with random rows in every table, and their content in a form to compare."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dispatcher.ledgers.schema import open_for_writing

STATUSES = ("ready", "claimed", "sending", "in_doubt", "notified", "skipped", "rejected", "parked")
TEXT = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["\0", "\x10", "\x100\0", "a\tb\\N\n\r", '{"a": "\\u0000"}', "Ä€😀", "\\.", ""]
)
TIME = st.floats(0, 4e9, allow_nan=False) | st.sampled_from([0.1 + 0.2, 1e-300, 1796000000.123457])
MAYBE_TIME = st.none() | TIME
MAYBE_TEXT = st.none() | TEXT
KEY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
FLAG = st.none() | st.sampled_from([0, 1])
MANY = st.integers(0, 2**62)
STORY = st.none() | st.sampled_from(['[1, "check", 200]', '[1,"a"],[2,"b\\u0000"]'])


@st.composite
def contacts(draw: Any, id_: int, campaign: int) -> dict[str, Any]:
    """A contact that keeps to the rules of its status."""
    status = draw(st.sampled_from(STATUSES))
    is_final = status not in STATUSES[:4]
    has_intent = status in ("sending", "in_doubt")
    has_text = not is_final or status == "parked" or (status == "rejected" and draw(st.booleans()))
    reason = {"notified": "delivered", "parked": "retry_loop"}.get(status, "expired")
    if status == "parked" and draw(st.booleans()):
        reason = "in_doubt"
    return {
        "id": id_,
        "campaign_id": campaign,
        "lately": draw(st.sampled_from([0, 1])),
        "status": status,
        "due": draw(TIME) if status == "ready" else None,
        "reason": reason if is_final else None,
        "settled_at": draw(TIME) if is_final else None,
        "look_at": draw(TIME) if status == "in_doubt" else None,
        "progress": draw(st.sampled_from([None, '{"attempts":2}', '{"sends": 1}'])),
        "intent_step": "open" if has_intent else draw(st.sampled_from([None, "notify"])),
        "intent_at": draw(TIME) if has_intent else draw(MAYBE_TIME),
        "intent_conversation_id": draw(MAYBE_TEXT),
        "intent_external_contact_id": draw(MAYBE_TEXT),
        "intent_target": draw(MAYBE_TEXT),
        "intent_target_is_guest_id": draw(FLAG),
        "key": f"{draw(KEY)}-{id_}",
        "conversation_id": draw(st.sampled_from(["shared", f"c{id_}"])),
        "external_contact_id": draw(MAYBE_TEXT),
        "person": draw(st.sampled_from([None, "p", f"p{id_}"])),
        "not_before": draw(MAYBE_TIME),
        "expires_at": draw(MAYBE_TIME),
        "correlation_id": draw(MAYBE_TEXT),
        "words": draw(MAYBE_TEXT),
        "text_sha256": draw(st.binary(min_size=32, max_size=32) | st.just(b"")),
        "attributes": draw(st.sampled_from([None, '{"a":"b"}', '{"n":"\\u0000\\u0010"}'])),
        "subject": draw(MAYBE_TEXT) if has_text else None,
        "address": draw(MAYBE_TEXT) if has_text else None,
        "text": draw(TEXT) if has_text else None,
        "story": draw(STORY),
    }


@st.composite
def ledgers(draw: Any) -> dict[str, list[dict[str, Any]]]:
    """All tables of a ledger with random rows."""
    campaigns = draw(st.integers(1, 3))
    in_campaign = st.integers(1, campaigns)
    ids = sorted(draw(st.sets(st.integers(1, 1000), max_size=12)))
    contact_rows = [draw(contacts(id_, draw(in_campaign))) for id_ in ids]
    settled = [row["id"] for row in contact_rows if row["status"] == "notified"]
    lineage_ids = sorted(draw(st.sets(st.integers(1, 500), min_size=len(settled),
                                      max_size=len(settled))))  # fmt: skip
    lineage = [
        {
            "id": id_,
            "contact_id": contact,
            "relation": "notified",
            "conversation_id": draw(MAYBE_TEXT),
            "message_id": draw(MAYBE_TEXT),
            "external_contact_id": draw(MAYBE_TEXT),
            "state_seen": draw(MAYBE_TEXT),
            "state_at": draw(MAYBE_TIME),
            "sent_at": draw(MAYBE_TIME),
            "correlation_id": draw(TEXT),
            "verified": draw(st.sampled_from([None, "confirmed"])),
            "verified_at": draw(MAYBE_TIME),
        }
        for id_, contact in zip(lineage_ids, draw(st.permutations(settled)), strict=True)
    ]
    few = st.integers(0, 3).map(range)
    return {
        "campaign": [
            {
                "id": id_,
                "name": f"{draw(KEY)}{id_}",
                "created_at": draw(TIME),
                "paused_at": draw(MAYBE_TIME),
                "rows_read": draw(MANY),
                "admitted": draw(MANY),
                "duplicates": draw(MANY),
                "filtered": draw(MANY),
            }
            for id_ in range(1, campaigns + 1)
        ],
        "contact": contact_rows,
        "reached": [
            {
                "lately": draw(st.sampled_from([0, 1])),
                "person": f"{draw(KEY)}",
                "contact_id": 2000 + number,
                "campaign_id": draw(in_campaign),
                "at": draw(TIME),
            }
            for number in draw(few)
        ],
        "lineage": lineage,
        "rejected_row": [
            {
                "id": 10 * number + 1,
                "campaign_id": draw(in_campaign),
                "file": draw(TEXT),
                "line": draw(MANY),
                "reason": draw(TEXT),
                "detail": draw(TEXT),
                "raw": draw(st.binary(max_size=9)),
                "at": draw(TIME),
            }
            for number in draw(few)
        ],
        "stream": [
            {
                "campaign_id": draw(in_campaign),
                "fingerprint": f"f{number}",
                "name": draw(TEXT),
                "at": draw(TEXT),
                "row_count": draw(MANY),
                "done": draw(st.sampled_from([0, 1])),
            }
            for number in draw(few)
        ],
        "settled_sum": [
            {"campaign_id": draw(in_campaign), "status": "skipped", "reason": f"r{number}",
             "contacts": draw(MANY)}
            for number in draw(few)
        ],
        "rejected_sum": [
            {"campaign_id": draw(in_campaign), "reason": f"r{number}", "row_count": draw(MANY)}
            for number in draw(few)
        ],
        "pruned": [
            {"campaign_id": draw(in_campaign), "key_hash": f"{number}"} for number in draw(few)
        ],
        "receipt": [
            {"campaign_id": draw(in_campaign), "request_key": f"{draw(KEY)}{number}",
             "digest": draw(TEXT), "at": draw(TIME), "result": draw(TEXT)}
            for number in draw(few)
        ],
        "sink": [
            {"name": f"s{number}", "part": part, "token": "0123", "cursor": cursor,
             "sending_to": draw(st.sampled_from([None, "501"])) if part == "rows" else None}
            for number in draw(few)
            for part, cursor in (("rows", draw(st.sampled_from(["", "7"]))), ("verdicts", "1.5 7"))
        ],
        "notice": [
            {"number": 5 * number + 1, "sink": draw(TEXT), "id": f"{number}", "event": draw(TEXT),
             "campaign": draw(TEXT), "at": draw(TIME), "facts": draw(TEXT),
             "due": draw(st.sampled_from([0, 1]))}
            for number in draw(few)
        ],
    }  # fmt: skip


def write_ledger(path: Path, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Write a ledger's file with these rows."""
    with closing(open_for_writing(path)) as connection:
        for name, rows in tables.items():
            for row in rows:
                columns = ", ".join(f'"{column}"' for column in row)
                marks = ", ".join("?" * len(row))
                connection.execute(
                    f"INSERT INTO {name} ({columns}) VALUES ({marks})", tuple(row.values())
                )


_NO_PART = ("location", "move", "sqlite_stat1", "sqlite_stat4", "sqlite_sequence")
"""Tables that are not the ledger itself."""


def whole_content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables of a file, without what is staged."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if name not in _NO_PART
        ]
        found = {}
        for name in names:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            kept = [f'"{column}"' for column in columns if column != "lately"]
            rows = connection.execute(f"SELECT {', '.join(kept)} FROM {name}").fetchall()
            found[name] = sorted(rows, key=repr)
        return found
