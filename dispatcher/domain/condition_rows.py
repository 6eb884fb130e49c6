"""What the facts show about the rows of the source: whether most of them are rejected."""

from collections.abc import Iterator

from dispatcher.domain.condition import Cause, EvidenceValue, Finding
from dispatcher.domain.condition_facts import Facts, RowCounts
from dispatcher.domain.rejected_reasons import REASON_MEANINGS, named_column

LEAST_REJECTED = 10
"""Fewer rows are mistakes of single rows, whatever their share."""
REJECTED_SHARE = 0.5
"""Above this share the rows have a mistake in common, which the export made."""
EXPORT_COMMAND = "dispatcher rejected export --out bad.csv"
"""Writes the rejected rows, which the ledger keeps, and the reason of each."""


def row_findings(facts: Facts) -> Iterator[Finding]:
    """Yield that most rows of the source are rejected."""
    rows = facts.rows
    if rows.rejected >= LEAST_REJECTED and rows.rejected > REJECTED_SHARE * rows.read:
        yield _rejected(rows)


def _rejected(rows: RowCounts) -> Finding:
    share = rows.rejected / rows.read if rows.read else 1.0
    words = (
        f"{rows.rejected} of the {rows.read} rows that were read last ({share:.0%}) were rejected"
    )
    evidence: dict[str, EvidenceValue] = {
        "rows_read": rows.read,
        "rows_rejected": rows.rejected,
        "share": round(share, 3),
    }
    if rows.reasons:
        reason, number = max(rows.reasons.items(), key=lambda item: item[1])
        meaning = REASON_MEANINGS.get(reason, "")
        what = ": ".join(filter(None, (meaning, rows.details.get(reason, ""))))
        words += f", {number} of them as {reason}" + (f" ({what})" if what else "")
        evidence |= {"reason": reason, "reason_rows": number, "meaning": meaning}
        if column := named_column(rows.details.get(reason, "")):
            evidence["column"] = column
    evidence["kept"] = f"in the ledger; listed by `{EXPORT_COMMAND}`"
    return Finding(Cause.ROWS_REJECTED, f"{words}; `{EXPORT_COMMAND}` lists them", evidence)
