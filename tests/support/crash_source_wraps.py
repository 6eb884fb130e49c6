"""How the points of the sources are reached: files, folders, topics and queries, wrapped."""

from pathlib import Path
from typing import Any

from dispatcher.sources.files import rejecting_reader
from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.files.folder_scan import FolderScan
from dispatcher.sources.kafka.kafka_source import KafkaSource
from dispatcher.sources.kafka.topic_reader import TopicReader
from dispatcher.sources.sql.database import Database
from dispatcher.sources.thread_bridge import BatchChannel
from tests.support.crash_points import ROTATION, Killer


def wrap_sources(killer: Killer) -> None:
    put, look, opened = BatchChannel.put, FolderScan.look, FileContent.__enter__
    take_content = rejecting_reader.read_content

    def putting(self: BatchChannel, batch: Any) -> None:
        put(self, batch)
        killer.reached("source.batch")
        stream = batch.stream
        if killer.point in ROTATION and killer.armed and stream and not stream.done:
            killer.reached("rotation.before")
            Path(stream.name).rename(f"{stream.name}.1")
            killer.reached("rotation.after")

    def looking(self: FolderScan, *args: Any) -> list[str]:
        ready = look(self, *args)
        if self._unfinished:
            killer.reached("folder.seen")
        if ready:
            killer.reached("folder.arrived")
        return ready

    def entering(self: FileContent) -> FileContent:
        killer.reached("folder.opened")
        return opened(self)

    def reading(*args: Any, **named: Any) -> None:
        take_content(*args, **named)
        killer.reached("folder.read")

    BatchChannel.put = putting  # type: ignore[method-assign]
    FolderScan.look = looking  # type: ignore[method-assign]
    FileContent.__enter__ = entering  # type: ignore[method-assign]
    rejecting_reader.read_content = reading


def wrap_remote_sources(killer: Killer) -> None:
    assign, fetch = TopicReader.assign, TopicReader.messages
    make_batch, read_page = KafkaSource._batch, Database.page

    def assigning(self: TopicReader, *args: Any) -> None:
        assign(self, *args)
        killer.reached("topic.assigned")

    async def fetching(self: TopicReader, *args: Any) -> Any:
        found = await fetch(self, *args)
        if found:
            killer.reached("topic.fetched")
        return found

    async def making(self: KafkaSource, *args: Any) -> Any:
        batch = await make_batch(self, *args)
        killer.reached("source.batch")
        return batch

    def reading(self: Database, *args: Any) -> Any:
        page = read_page(self, *args)
        if page:
            killer.reached("page.read")
        return page

    TopicReader.assign = assigning  # type: ignore[method-assign]
    TopicReader.messages = fetching  # type: ignore[method-assign]
    KafkaSource._batch = making  # type: ignore[method-assign]
    Database.page = reading  # type: ignore[method-assign]
