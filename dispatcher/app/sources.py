"""Opens the source of a campaign, by its kind."""

from functools import partial

from dispatcher.app.secret_files import read_password
from dispatcher.app.snowflake_logins import snowflake_login
from dispatcher.app.wiring import make_layout, make_row_rules
from dispatcher.ports import Source, SourceError
from dispatcher.settings import Settings
from dispatcher.settings.model import SourceSettings
from dispatcher.settings.source_kinds import ObjectStoreSettings, SqlSettings
from dispatcher.sources.away import AwayWait
from dispatcher.sources.factory import open_source
from dispatcher.sources.intake.http_source import HttpSource
from dispatcher.sources.kafka.connection import KafkaOptions
from dispatcher.sources.kafka.kafka_source import KafkaSource
from dispatcher.sources.key_source import KeySource
from dispatcher.sources.objects.object_files import ObjectFiles, StoreOptions
from dispatcher.sources.objects.object_source import ObjectSource
from dispatcher.sources.options import Timing
from dispatcher.sources.snowflake.query import SnowflakeQuery, SnowflakeRows
from dispatcher.sources.snowflake.result_source import SnowflakeResultSource
from dispatcher.sources.sql.database import Database, SqlQuery


def make_source(settings: Settings, *, once: bool, patient: bool = True) -> Source:
    """Return the source of the settings; nothing is read yet.

    ``once`` makes a source that is watched end with what is there now. One that is ``patient``
    waits for a server that is away, another raises.

    Raises:
        SourceError: the kind's address is not one, or the package that it needs is not installed.

    """
    if settings.program_source is not None:
        return settings.program_source
    match settings.source.kind:
        case "files":
            return _open_files(settings, once=once)
        case "objects":
            return _open_objects(settings, once=once, patient=patient)
        case "sql":
            return _open_sql(settings, once=once, patient=patient)
        case "snowflake":
            return _open_snowflake(settings, once=once, patient=patient)
        case "kafka":
            return _open_kafka(settings, once=once, patient=patient)
        case "http":
            most_rows = settings.source.posts.most_rows
            return HttpSource(make_row_rules(settings), most_rows, once=once)


def open_objects(source: SourceSettings, away: AwayWait) -> ObjectFiles:
    """Return the objects of the settings.

    Raises:
        SourceError: as `make_source`.

    """
    section = source.objects or ObjectStoreSettings()
    options = StoreOptions(_store_config(source.path, section), section.allow_http)
    return ObjectFiles(source.path, options, away)


def _open_files(settings: Settings, *, once: bool) -> Source:
    source = settings.source
    return open_source(
        source.path,
        make_row_rules(settings),
        watch=source.watch,
        once=once,
        layout=make_layout(settings),
        timing=Timing(source.poll_seconds, source.stable_seconds) if source.watch else None,
    )


def _open_objects(settings: Settings, *, once: bool, patient: bool) -> Source:
    source = settings.source
    polls = source.poll_seconds if source.watch and not once else None
    rules, layout = make_row_rules(settings), make_layout(settings)
    return ObjectSource(open_objects(source, AwayWait(patient=patient)), rules, layout, polls)


def sql_query(section: SqlSettings) -> SqlQuery:
    """Return the query of the settings."""
    return SqlQuery(
        section.url, section.query, section.key, section.page_rows, section.timeout_seconds
    )


def _open_sql(settings: Settings, *, once: bool, patient: bool) -> Source:
    source = settings.source
    if source.sql is None:
        raise SourceError("[source.sql] is missing")
    query = sql_query(source.sql)
    password = read_password("source.sql", source.sql, settings.environment)
    polls = source.poll_seconds if source.watch and not once else None
    open_database = partial(Database, query, password)
    return KeySource(
        query, open_database, make_row_rules(settings), polls, AwayWait(patient=patient)
    )


def snowflake_query(settings: Settings) -> SnowflakeQuery:
    """Return the query of the settings, with the secrets of its login.

    Raises:
        CredentialsError, SourceError: a secret cannot be read, or there is no section.

    """
    section = settings.source.snowflake
    if section is None:
        raise SourceError("[source.snowflake] is missing")
    login = snowflake_login("source.snowflake", section, settings.environment)
    return SnowflakeQuery(login, section.query, section.key, section.page_rows)


def _open_snowflake(settings: Settings, *, once: bool, patient: bool) -> Source:
    source, query = settings.source, snowflake_query(settings)
    open_rows, away = partial(SnowflakeRows, query), AwayWait(patient=patient)
    rules = make_row_rules(settings)
    if not query.key:
        return SnowflakeResultSource(query, open_rows, rules, away)
    polls = source.poll_seconds if source.watch and not once else None
    return KeySource(query, open_rows, rules, polls, away)


def kafka_options(settings: Settings) -> KafkaOptions:
    """Return the topic of the settings, with the password of its user.

    Raises:
        CredentialsError, SourceError: the password cannot be read, or there is no section.

    """
    section = settings.source.kafka
    if section is None:
        raise SourceError("[source.kafka] is missing")
    return KafkaOptions(
        section.bootstrap_servers,
        section.topic,
        protocol=section.security_protocol,
        mechanism=section.sasl_mechanism,
        username=section.sasl_username,
        password=read_password("source.kafka", section, settings.environment),
        ca_file=section.ssl_cafile,
        certificate_file=section.ssl_certfile,
        key_file=section.ssl_keyfile,
        generation=section.generation,
        start=section.start,
        answer_seconds=section.timeout_seconds,
        look_seconds=settings.source.poll_seconds,
    )


def _open_kafka(settings: Settings, *, once: bool, patient: bool) -> Source:
    source = settings.source
    return KafkaSource(
        kafka_options(settings),
        make_row_rules(settings),
        until_end=once or not source.watch,
        key_is_contact_key=source.kafka is not None and source.kafka.key_as_contact_key,
        patient=patient,
    )


def _store_config(url: str, section: ObjectStoreSettings) -> dict[str, str]:
    """Return the configuration as the library names it; what is empty is found by itself."""
    endpoint = "base_url" if url.startswith("gs:") else "endpoint"
    values = {
        endpoint: section.endpoint.rstrip("/"),
        "region": section.region,
        "skip_signature": "true" if section.anonymous else "",
        "virtual_hosted_style_request": "true" if section.virtual_hosted else "",
    }
    return {key: value for key, value in values.items() if value}
