"""Why rows of the source cannot become contacts: each reason in words."""

import re
from collections.abc import Mapping

REASON_MEANINGS: Mapping[str, str] = {
    "no_id": "the conversation id is missing",
    "placeholder": "the text of the row has a placeholder for a column",
    "null_marker": "a column that the template uses has a null marker",
    "mangled_number": "a spreadsheet or a program has changed an id or an address",
    "bad_id": "an id or key is too long or has characters that are not permitted",
    "bad_date": "a date cannot be read, or can be read in two ways",
    "unclear_opt_out": "an opt-out or consent column has neither a yes nor a no",
    "no_text": "there is no text, neither in the row nor from a template",
    "text_too_long": "the text is too long",
    "missing_placeholder": "a column that the template uses has no value",
    "columns": "the row has other columns than the header, or other names than the settings",
    "open_quote": "a quoted field does not end",
    "bad_quote": "text follows a closing quote",
    "too_long": "the line has more than 1 MiB",
    "encoding": "the row is not UTF-8, or has a NUL character",
    "tombstone": "the message has no value",
    "lost": "messages of a topic were deleted before they were read",
    "json": "the row is not a valid JSON object",
    "unreadable": "the content is damaged or truncated, or the file cannot be read",
    "format": "the format of the file is not supported",
    "changed": "the file changed after a part of it was read",
    "header": "the header lacks a column or cannot be read",
}
"""The meaning of every reason of a `RejectedRow`; what to do is in docs/input.md."""

_COLUMN = re.compile(r"\bcolumn (?:'([^']+)'|\"([^\"]+)\")")


def named_column(detail: str) -> str:
    """Return the column that the ``detail`` of a `RejectedRow` names; empty if it names none."""
    found = _COLUMN.search(detail)
    return (found[1] or found[2]) if found else ""
