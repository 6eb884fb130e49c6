"""Reads the partitions of one topic over one connection, in the words of partition numbers."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from dispatcher.sources.kafka.connection import KafkaOptions
from dispatcher.sources.kafka.message_rows import Message

BATCH_ROWS = 256


class TopicReader:
    """A consumer of the library, with the partitions that are assigned to it.

    ``is_out_of_range`` is true if a place did not exist when messages were fetched from there.
    """

    def __init__(self, consumer: Any, options: KafkaOptions) -> None:
        library = import_module("aiokafka")
        self._consumer = consumer
        self._topic = options.topic
        self._partition = library.TopicPartition
        self._out_of_range = library.errors.OffsetOutOfRangeError
        self._answer_seconds = options.answer_seconds
        self._look_seconds = options.look_seconds
        self._looked_at = time.monotonic()
        self.is_out_of_range = False

    def assign(self, places: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self.is_out_of_range = False
        partitions = [self._partition(self._topic, number) for number in places]
        self._consumer.assign(partitions)
        for partition in partitions:
            self._consumer.seek(partition, places[partition.partition])

    async def limits(self, numbers: Iterable[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Return the first offset of each partition, and the one behind its last message.

        Raises:
            KafkaError, TimeoutError: no broker answers.

        """
        partitions = [self._partition(self._topic, number) for number in numbers]
        async with asyncio.timeout(self._answer_seconds):
            begins = await self._consumer.beginning_offsets(partitions)
            ends = await self._consumer.end_offsets(partitions)
        self._looked_at = time.monotonic()
        return (
            {partition.partition: offset for partition, offset in begins.items()},
            {partition.partition: offset for partition, offset in ends.items()},
        )

    def is_due(self) -> bool:
        """Return True if it is time to ask for the limits again."""
        return time.monotonic() - self._looked_at >= self._look_seconds

    async def messages(self, wait_ms: int) -> dict[int, Sequence[Message]]:
        """Return the next messages by partition; none if no more come within ``wait_ms``.

        Raises:
            KafkaError: a broker refuses.

        """
        try:
            found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=BATCH_ROWS)
        except self._out_of_range:
            self.is_out_of_range = True
            return {}
        return {partition.partition: messages for partition, messages in found.items()}

    async def place(self, number: int) -> int:
        """Return the offset after the messages that were returned, and after control records."""
        return int(await self._consumer.position(self._partition(self._topic, number)))

    def ends(self, number: int) -> tuple[int, int] | None:
        """Return the end of what may be read, and of the partition, by its last fetch.

        The first excludes open transactions. None before the first fetch. What a fetch shows counts
        more than the limits, which not every broker counts in messages.
        """
        partition = self._partition(self._topic, number)
        stable = self._consumer.last_stable_offset(partition)
        end = self._consumer.highwater(partition)
        if stable is None or end is None:
            return None
        return (end if stable < 0 else stable), end

    def numbers(self) -> list[int]:
        """Return the partitions that the topic has now, as far as is known."""
        return sorted(self._consumer.partitions_for_topic(self._topic) or ())
