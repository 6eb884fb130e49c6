"""Holds the first batches of a topic back until the columns that the settings name are there."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from dispatcher.ports import Batch, SourceError
from dispatcher.sources.kafka.message_rows import MessageRows
from dispatcher.sources.rows.object_columns import HELD_ROWS


async def hold_back(
    batches: AsyncGenerator[Batch, None], rows: MessageRows, title: str
) -> AsyncGenerator[Batch, None]:
    """Yield all batches, but none before each column that the settings name was in some message.

    Otherwise a misspelt opt-out column would send to everybody.

    Raises:
        SourceError: none of the first messages has such a column.

    """
    held: list[Batch] = []
    async with aclosing(batches):  # so that closing this one ends the connection
        async for batch in batches:
            held.append(batch)
            if rows.missing_columns and sum(one.rows for one in held) < HELD_ROWS:
                continue
            _check(rows, title)
            for one in held:
                yield one
            held.clear()
    if held:
        _check(rows, title)
    for one in held:
        yield one


def _check(rows: MessageRows, title: str) -> None:
    if missing := ", ".join(map(repr, rows.missing_columns)):
        raise SourceError(
            f"{title}: no message has {missing}; correct source.columns, source.filter or the "
            "rules, or the messages"
        )
