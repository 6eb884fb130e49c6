"""Counts the messages of a topic, for people who check a configuration."""

from dispatcher.ports import SourceError
from dispatcher.sources.kafka.connection import (
    AwayError,
    KafkaOptions,
    find_topic,
    open_consumer,
)
from dispatcher.sources.kafka.kafka_source import END_WAIT_MS
from dispatcher.sources.kafka.topic_reader import TopicReader


async def count_topic(options: KafkaOptions) -> str:
    """Return how many messages and partitions the topic has, in words.

    The messages are counted by their offsets, which include those that compaction has removed.

    Raises:
        SourceError: no broker answers, the topic does not exist, or the login is refused.

    """
    try:
        topic = await find_topic(options)
        async with open_consumer(options, END_WAIT_MS) as consumer:
            begins, ends = await TopicReader(consumer, options).limits(topic.partitions)
    except AwayError as error:
        raise SourceError(f"{error}; check that it runs and can be reached") from None
    count = sum(ends[number] - begins[number] for number in ends)
    return f"{len(ends)} partitions with about {count:,} messages"
