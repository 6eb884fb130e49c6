"""Counts what a source has, without its rows, for people who check a configuration."""

import asyncio
from contextlib import closing

from dispatcher.app.secret_files import read_password
from dispatcher.app.sources import kafka_options, open_objects, snowflake_query, sql_query
from dispatcher.settings import Settings
from dispatcher.sources.away import AwayWait
from dispatcher.sources.kafka.topic_count import count_topic
from dispatcher.sources.snowflake.query import SnowflakeRows
from dispatcher.sources.sql.database import Database


def count_source(settings: Settings) -> str:
    """Return what there is in the source now, in words; empty if it is not counted. It blocks.

    Raises:
        SourceError: the source is away or refuses.

    """
    source, away = settings.source, AwayWait(patient=False)
    if source.kind == "objects":
        versions = open_objects(source, away).versions()
        size = sum(version.size for version in versions)
        return f"{len(versions):,} objects with {size:,} bytes"
    if source.kind == "kafka":
        return asyncio.run(count_topic(kafka_options(settings)))
    if source.kind == "snowflake":
        with closing(SnowflakeRows(snowflake_query(settings), away)) as rows:
            return f"{rows.count():,} rows with the columns {', '.join(rows.columns())}"
    if source.sql is None:
        return ""
    password = read_password("source.sql", source.sql, settings.environment)
    with closing(Database(sql_query(source.sql), password, away)) as database:
        return f"{database.count():,} rows with the columns {', '.join(database.columns())}"
