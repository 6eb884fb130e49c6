"""Opens the sinks of a run: each gets the lineage as it is written."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

import structlog
from pydantic import SecretStr

from dispatcher.app.secret_files import read_password
from dispatcher.app.snowflake_logins import snowflake_login
from dispatcher.app.tasks import cancel_and_wait
from dispatcher.domain.events import SinkLagged
from dispatcher.ports import EventSink
from dispatcher.ports.sink import LineageLog, SinkTarget
from dispatcher.settings import Settings
from dispatcher.settings.sinks import (
    KafkaSinkSettings,
    SinkOfAKind,
    SnowflakeSinkSettings,
    SqlSinkSettings,
    WebhookSettings,
)
from dispatcher.sinks.kafka_target import KafkaTarget, KafkaTopic
from dispatcher.sinks.object_target import ObjectPlace, ObjectTarget
from dispatcher.sinks.pump import LineagePump, PumpOptions
from dispatcher.sinks.snowflake_target import SnowflakeTables, SnowflakeTarget
from dispatcher.sinks.sql_target import SqlTable, SqlTarget
from dispatcher.sinks.webhook import Webhook

GAUGE_SECONDS = 2.0
"""How often it is measured how far each sink is behind."""
END_SECONDS = 10.0
"""How long the end of a run waits for its sinks; the rest goes out in the next run."""


def make_target(sink: SinkOfAKind, environment: Mapping[str, SecretStr]) -> SinkTarget:
    """Return the target of a sink; it is not opened yet.

    Raises:
        SinkError: a package is not installed, or the address is none.
        CredentialsError: the file of the password cannot be read.
        SourceError: the variable of the password is not set.

    """
    if isinstance(sink, SqlSinkSettings):
        password = read_password(f"sink {sink.name}", sink, environment)
        names = sink.table, sink.cursor_table, sink.table_schema
        table = SqlTable(sink.url, *names, create=sink.create_tables)
        return SqlTarget(sink.name, table, password)
    if isinstance(sink, SnowflakeSinkSettings):
        login = snowflake_login(f"sink {sink.name}", sink, environment)
        tables = SnowflakeTables(sink.table, sink.cursor_table, create=sink.create_tables)
        return SnowflakeTarget(sink.name, login, tables)
    if isinstance(sink, KafkaSinkSettings):
        return KafkaTarget(sink.name, _topic(sink, environment))
    values = {"endpoint": sink.endpoint.rstrip("/"), "region": sink.region}
    config = {key: value for key, value in values.items() if value}
    place = ObjectPlace(sink.url, sink.format, config, sink.allow_http)
    return ObjectTarget(sink.name, place)


def _topic(sink: KafkaSinkSettings, environment: Mapping[str, SecretStr]) -> KafkaTopic:
    return KafkaTopic(
        servers=sink.bootstrap_servers,
        topic=sink.topic,
        protocol=sink.security_protocol,
        mechanism=sink.sasl_mechanism,
        username=sink.sasl_username,
        password=read_password(f"sink {sink.name}", sink, environment),
        ca_file=sink.ssl_cafile,
        certificate_file=sink.ssl_certfile,
        key_file=sink.ssl_keyfile,
        answer_seconds=sink.timeout_seconds,
        idempotent=sink.idempotent,
    )


def start_sinks(
    settings: Settings,
    log: LineageLog,
    stack: AsyncExitStack,
    events: EventSink,
    webhooks: Mapping[str, Webhook],
) -> Mapping[str, LineagePump | Webhook]:
    """Start the sinks of the lineage, which end with ``stack``; return all sinks by name.

    ``webhooks`` have been started. How far each sink is behind goes to ``events``.

    Raises:
        SinkError: as `make_target`.

    """
    pumps = {
        sink.name: _make_pump(sink, settings, log)
        for sink in settings.sinks
        if not isinstance(sink, WebhookSettings)
    }
    sinks = {sink.name: pumps.get(sink.name) or webhooks[sink.name] for sink in settings.sinks}
    if sinks:
        measuring = asyncio.ensure_future(_measure(sinks, events))
        stack.push_async_callback(partial(cancel_and_wait, measuring))
    for pump in pumps.values():
        pump.start()
        stack.push_async_callback(partial(end_sink, pump))
    return sinks


async def _measure(sinks: Mapping[str, LineagePump | Webhook], events: EventSink) -> None:
    while True:
        for name, sink in sinks.items():
            await sink.measure()
            state = sink.state
            events.emit(SinkLagged(name, state.lag, state.error))
        await asyncio.sleep(GAUGE_SECONDS)


def _make_pump(sink: SinkOfAKind, settings: Settings, log: LineageLog) -> LineagePump:
    options = PumpOptions(sink.campaigns, sink.flush_seconds, sink.rows_per_range)
    return LineagePump(sink.name, log, make_target(sink, settings.environment), options)


async def end_sink(sink: LineagePump | Webhook) -> None:
    """End a sink; log it if something has not gone out, which the next run sends."""
    if not await sink.end(END_SECONDS):
        detail = sink.state.error or f"it did not take everything within {END_SECONDS:.0f} s"
        structlog.get_logger(sink=sink.name).warning(
            "sink.unfinished", rows=sink.state.lag, detail=detail
        )
