"""A topic as a source: its partitions are read from the places in the ledger, without a group."""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing

from dispatcher.domain.growing_pause import GrowingPause
from dispatcher.ports import Admitted, Batch, SourceError, Stream
from dispatcher.sources.kafka.connection import (
    AwayError,
    KafkaOptions,
    find_topic,
    open_consumer,
)
from dispatcher.sources.kafka.held_batches import hold_back
from dispatcher.sources.kafka.message_rows import Message, MessageRows
from dispatcher.sources.kafka.partitions import Partition, fingerprint_of
from dispatcher.sources.kafka.topic_reader import TopicReader
from dispatcher.sources.options import RowRules

IDLE_WAIT_MS = 500
END_WAIT_MS = 50
"""How long a fetch waits for messages: while more are expected, and while the end is looked for."""


class KafkaSource:
    """Reads the partitions of a topic, each from its known place.

    With ``until_end`` it ends at the ends that the partitions have when reading begins; otherwise
    it waits for messages, and for new partitions, for as long as it is iterated. A new partition is
    read from its beginning. While no broker answers it waits, and connects again; one that is not
    ``patient`` raises instead.
    """

    def __init__(
        self, options: KafkaOptions, rules: RowRules, *,
        until_end: bool = False, key_is_contact_key: bool = False, patient: bool = True,
    ) -> None:  # fmt: skip
        self._options = options
        self._rows = MessageRows(rules, key_is_contact_key=key_is_contact_key)
        self._until_end = until_end
        self._patient = patient
        self._wait_ms = END_WAIT_MS if until_end else IDLE_WAIT_MS
        self._pause = GrowingPause(random.random)
        self._known: Mapping[str, Stream] = {}
        self._cluster: str | None = None
        self._is_started = False
        self._partitions: dict[int, Partition] = {}
        self._behind: frozenset[int] = frozenset()
        self.watched = not until_end
        self._away = ""
        self._holds = False

    @property
    def waits_for(self) -> str:
        """Why no messages are read now, or why those that were read wait; empty if none do."""
        missing = ", ".join(map(repr, self._rows.missing_columns)) if self._holds else ""
        return self._away or (f"no message has {missing} yet" if missing else "")

    @property
    def lag(self) -> int | None:
        """How many messages wait in the topic; None before its ends are known."""
        if not self._partitions:
            return None
        return sum(partition.lag for partition in self._partitions.values())

    async def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the messages after the known place of each partition.

        Raises:
            SourceError: the topic does not exist, the login is refused, or the library is not
                installed; if the source is not patient, no broker answers; at the first start, no
                message has a column that the settings name.

        """
        self._known = known
        found = self._all_batches()
        self._holds = not self._is_known()
        if self._holds:
            found = hold_back(found, self._rows, self._options.title)
        async with aclosing(found) as batches:
            async for batch in batches:
                yield batch

    def _is_known(self) -> bool:
        """Return True if the ledger has a place of the topic."""
        title = f"{self._options.topic}["
        return any(stream.name.startswith(title) and stream.rows for stream in self._known.values())

    async def _all_batches(self) -> AsyncGenerator[Batch, None]:
        while True:
            try:
                async with aclosing(self._batches()) as batches:
                    async for batch in batches:
                        yield batch
            except AwayError as error:
                self._away = self._wait(error)
            else:
                return
            await asyncio.sleep(self._pause.next())

    def _wait(self, error: AwayError) -> str:
        """Return the reason to wait.

        Raises:
            SourceError: there is nobody to wait for it.

        """
        if not self._patient:
            raise SourceError(f"{error}; check that it runs and can be reached, then try again")
        return str(error)

    async def _batches(self) -> AsyncGenerator[Batch, None]:
        """Yield batches over one connection, until it fails or the end is reached."""
        topic = await find_topic(self._options)
        self._check_cluster(topic.cluster)
        async with open_consumer(self._options, self._wait_ms) as consumer:
            reader = TopicReader(consumer, self._options)
            for batch in await self._begin(reader, topic.partitions):
                yield batch
            self._away = ""
            self._pause.reset()
            while not self._is_at_end():
                found = await reader.messages(self._wait_ms)
                self._note_ends(reader)
                for number, messages in found.items():
                    yield await self._batch(number, messages)
                for batch in await self._look(reader):
                    yield batch

    def _check_cluster(self, cluster: str) -> None:
        if self._cluster not in (None, cluster):
            raise SourceError(
                f"{self._options.title}: this is another cluster ({cluster}) than before "
                f"({self._cluster}); check source.kafka.bootstrap_servers, and run again"
            )
        self._cluster = cluster

    async def _begin(self, reader: TopicReader, numbers: Sequence[int]) -> list[Batch]:
        """Take up all partitions; return what the ledger must have before any message."""
        begins, ends = await reader.limits(numbers)
        batches = self._add(numbers, begins, ends if self._starts_at_end() else begins)
        if self._starts_at_end():
            batches.append(self._note_start())
        for number, partition in self._partitions.items():
            partition.end = max(partition.end, ends.get(number, 0))
            is_empty = ends.get(number) == begins.get(number) == partition.next
            if partition.target is None and is_empty:
                partition.target = partition.next
        batches += self._lost(begins, {})
        self._assign(reader)
        return batches

    def _starts_at_end(self) -> bool:
        """Return True until all partitions of the first start are known to begin at their ends."""
        is_known = self._is_started or self._fingerprint("start") in self._known
        return self._options.start == "latest" and not is_known

    def _note_start(self) -> Batch:
        """Return a batch after which a partition that is not in the ledger is a new one."""
        self._is_started = True
        mark = Stream(self._options.topic, self._fingerprint("start"), "latest", 0, done=False)
        return Batch((), stream=mark)

    def _fingerprint(self, partition: int | str) -> str:
        options = self._options
        return fingerprint_of(self._cluster or "", options.topic, options.generation, partition)

    def _add(
        self, numbers: Iterable[int], begins: Mapping[int, int], starts: Mapping[int, int]
    ) -> list[Batch]:
        """Add partitions that are not read yet; return the places that the ledger must have."""
        batches = []
        for number in numbers:
            if number in self._partitions:
                continue
            fingerprint = self._fingerprint(number)
            name, known = f"{self._options.topic}[{number}]", self._known.get(fingerprint)
            partition = Partition.of(name, fingerprint, known, starts[number])
            self._partitions[number] = partition
            if known is None and starts[number] != begins[number]:
                stream, before = partition.move(starts[number], 0)
                batches.append(Batch((), stream=stream, before=before))
        return batches

    def _lost(self, begins: Mapping[int, int], ends: Mapping[int, int]) -> list[Batch]:
        """Return a batch for each partition whose place does not exist any more."""
        batches = []
        for number, begin in begins.items():
            partition = self._partitions[number]
            row = partition.lost(begin, ends.get(number))
            if row is not None:
                stream, before = partition.move(begin, 0)
                batches.append(Batch((), (row,), stream=stream, before=before))
        return batches

    def _assign(self, reader: TopicReader) -> None:
        reader.assign({number: one.next for number, one in self._partitions.items()})

    def _is_at_end(self) -> bool:
        return self._until_end and all(one.is_at_target for one in self._partitions.values())

    async def _batch(self, number: int, messages: Sequence[Message]) -> Batch:
        partition = self._partitions[number]
        rows = await asyncio.to_thread(self._rows.build, partition.name, messages)
        stream, before = partition.move(messages[-1].offset + 1, len(messages))

        def note_admitted(_: Admitted) -> None:
            partition.admitted = int(stream.at)

        return Batch(
            rows.contacts, rows.rejected, rows.filtered, stream, rows.irregularities,
            before=before, done=note_admitted,
        )  # fmt: skip

    async def _look(self, reader: TopicReader) -> list[Batch]:
        """Look at the whole topic when it is time, or when messages may be lost."""
        for number, partition in self._partitions.items():
            partition.next = await reader.place(number)
        suspects = frozenset(n for n, one in self._partitions.items() if one.is_behind_end)
        must_know = suspects and self._until_end
        if not (must_know or reader.is_out_of_range or reader.is_due()):
            return []
        begins, ends = await reader.limits(tuple(self._partitions))
        batches = self._lost(begins, self._ends_behind(reader, suspects, ends))
        if batches or reader.is_out_of_range:
            self._assign(reader)
        return [*batches, *([] if self._until_end else await self._find_new(reader))]

    def _note_ends(self, reader: TopicReader) -> None:
        for number, partition in self._partitions.items():
            shown = reader.ends(number)
            if shown is None:
                continue
            stable, partition.end = shown
            if partition.target is None:
                partition.target = stable

    def _ends_behind(
        self, reader: TopicReader, suspects: frozenset[int], listed: Mapping[int, int]
    ) -> dict[int, int]:
        """Return the ends of partitions that were read further than they are now.

        A new leader may show an earlier end for a moment; so it counts when it is seen twice, or
        when the broker says that the place does not exist.
        """
        partitions = self._partitions
        proved = suspects if self._until_end else suspects & self._behind
        self._behind = suspects
        ends = {number: partitions[number].end for number in proved}
        if reader.is_out_of_range:
            ends |= {n: end for n, end in listed.items() if partitions[n].next > end}
        return ends

    async def _find_new(self, reader: TopicReader) -> list[Batch]:
        new = [number for number in reader.numbers() if number not in self._partitions]
        if not new:
            return []
        begins, _ = await reader.limits(new)
        batches = self._add(new, begins, begins)
        self._assign(reader)
        return batches
