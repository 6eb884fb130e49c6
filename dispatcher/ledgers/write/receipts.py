"""The results of requests, kept for their repeats."""

import sqlite3

import orjson

from dispatcher.ledgers.statements import SQL
from dispatcher.ports import RECEIPT_SECONDS, Admitted, Batch, Receipt, RejectedPostRow, RequestKey

_MOST_PRUNED = 100
"""Receipts that one admission removes at most, so that no commit takes long."""


def find_repeat(
    connection: sqlite3.Connection, campaign: int, request: RequestKey, now: float
) -> Admitted | None:
    """Return the result of an earlier request with the same key; None if there was none."""
    since = now - RECEIPT_SECONDS
    found = connection.execute(SQL["receipt"], (campaign, request.key, since)).fetchone()
    if found is None:
        return None
    digest, result = found
    if digest != request.digest:
        return Admitted(0, 0, (), key_reused=True)
    return Admitted(0, 0, (), receipt=_decoded(result))


def keep(
    connection: sqlite3.Connection, campaign: int, batch: Batch, admitted: Admitted, now: float
) -> None:
    """Write the result of a batch with its ``request``, and remove some that are too old."""
    if batch.request is None:
        return
    key, digest = batch.request
    receipt = batch.receipt(admitted)
    connection.execute(SQL["prune_receipts"], (now - RECEIPT_SECONDS, _MOST_PRUNED))
    row = (campaign, key, digest, now, _encoded(receipt))
    connection.execute(SQL["add_receipt"], row)


def _encoded(receipt: Receipt) -> str:
    counts = (receipt.admitted, receipt.duplicates, receipt.filtered)
    return orjson.dumps([*counts, [tuple(row) for row in receipt.rejected]]).decode()


def _decoded(result: str) -> Receipt:
    admitted, duplicates, filtered, rejected = orjson.loads(result)
    rows = [RejectedPostRow(*row) for row in rejected]
    return Receipt(admitted, duplicates, filtered, rows)
