"""Lets a run follow the orders that other processes write into its store."""

import asyncio
from contextlib import AsyncExitStack, suppress

from dispatcher.app.tasks import cancel_and_wait
from dispatcher.engine.pipeline import Pipeline
from dispatcher.ports import LedgerError, Store


def follow_orders(stack: AsyncExitStack, store: Store, pipeline: Pipeline) -> None:
    """Let the pipeline look at pauses and due contacts after each order, until the stack closes."""
    stack.push_async_callback(cancel_and_wait, asyncio.ensure_future(_follow(store, pipeline)))


async def _follow(store: Store, pipeline: Pipeline) -> None:
    with suppress(LedgerError):  # the pipeline meets it, too, and ends the run
        while True:
            await store.orders_changed()
            await pipeline.reread()
