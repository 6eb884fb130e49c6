"""Builds the parts of the dispatcher from its settings."""

import random
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack

from dispatcher.app.credentials import make_credentials
from dispatcher.app.dialects import (
    adapt_policy,
    open_platform,
    refuses_wrong_states,
    text_limit,
    text_problem,
    token_inspector,
    token_options,
)
from dispatcher.domain.decision import DecisionPolicy, IdentityRule
from dispatcher.domain.opt_out import OptOutColumns
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.reconcile_policy import EvidenceKind, ReconcilePolicy
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.engine.time_zones import require_zone
from dispatcher.pacing.pacer import QuotaPacer
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.token import OnTokenRequest, TokenManager
from dispatcher.ports import (
    ENDLESS,
    BackgroundPacer,
    Clock,
    CredentialSource,
    Platform,
    Tenure,
)
from dispatcher.settings import (
    RulesSettings,
    Settings,
    SettingsError,
    SettingsProblem,
    per_client_settings,
    secret_variables,
)
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.column_names import ColumnNames
from dispatcher.sources.rows.dates import DateParser
from dispatcher.sources.rows.template import Template
from dispatcher.telemetry.metrics.agent import AgentAddress, find_agent

SPARE_CONNECTIONS = 4
"""Connections for tokens, besides one for each worker. No request waits for a connection, so it
leaves as soon as it has its permit."""


def make_row_rules(settings: Settings) -> RowRules:
    """Return how a row of the settings' source becomes a contact."""
    source = settings.source
    columns = {str(meaning): name for meaning, name in source.columns.items()}
    return RowRules(
        columns=columns,
        filter=source.filter,
        text=settings.message.text or None,
        subject=settings.message.subject or None,
        needed=_needed_columns(settings, columns),
        zone=require_zone(source.timezone),
        date_format=source.date_format or None,
        text_limit=text_limit(settings),
        text_problem=text_problem(settings),
        null_values=source.null_values,
        attributes=source.attributes,
        named=tuple(filter(None, (settings.rules.timezone_column,))),
        mangled_numbers=source.mangled_numbers,
        present=_compared_columns(settings),
        lacks_zone=bool(settings.rules.quiet_hours or settings.rules.holidays)
        and not settings.rules.timezone_column,
        opt_out=opt_out_columns(settings.rules),
    )


def opt_out_columns(rules: RulesSettings) -> OptOutColumns:
    """Return the columns by which people of a campaign are left out."""
    return OptOutColumns(rules.opt_out_columns, rules.consent_columns)


def _needed_columns(settings: Settings, columns: Mapping[str, str]) -> Collection[str]:
    """Return columns that a file could lack without a row being rejected for it.

    A fallback or the default time zone would then be used for everyone, silently.
    """
    message, rules = settings.message, settings.rules
    templates = [Template(text).renamed(columns) for text in (message.text, message.subject)]
    uses_zone = bool((rules.quiet_hours or rules.holidays) and rules.timezone_column)
    zone = {rules.timezone_column} if uses_zone else set[str]()
    return zone.union(*(template.optional for template in templates))


def make_likeness(settings: Settings) -> RowLikeness | None:
    """Return what rows alike have in common; None if the state is always read first."""
    if settings.platform.first_call == "check" or not refuses_wrong_states(settings):
        return None
    source, names = settings.source, ColumnNames(make_row_rules(settings))
    dates = DateParser(require_zone(source.timezone), source.date_format or None)
    columns = tuple(map(names.spelled, source.alike_columns))
    age_column = names.spelled(source.age_column) if source.age_column else ""
    return RowLikeness(columns, age_column, dates.seconds)


def _compared_columns(settings: Settings) -> Collection[str]:
    """Return the columns by which rows are compared that a file must have."""
    if settings.platform.first_call == "check":
        return ()
    source = settings.source
    return tuple(filter(None, (*source.alike_columns, source.age_column)))


def make_layout(settings: Settings) -> Layout:
    """Return how the rows of the source's files are laid out."""
    source = settings.source
    return Layout(source.format, source.delimiter, source.max_record_lines, source.header)


def _ignore_request(_status: str, _seconds: float) -> None:
    """Take a request for a token that nobody counts."""


def client_credentials(settings: Settings, clock: Clock, stack: AsyncExitStack) -> CredentialSource:
    """Return where the id and the secret of the client of ``settings`` are; the stack closes it."""
    names = secret_variables(settings)
    return make_credentials(settings.credentials, stack, settings.environment, clock, names)


async def make_platform(  # noqa: PLR0913 - the parts of one client
    settings: Settings, pacer: BackgroundPacer, clock: Clock, stack: AsyncExitStack,
    credentials: CredentialSource, *, on_token_request: OnTokenRequest = _ignore_request,
    tenure: Tenure = ENDLESS,
) -> Platform:  # fmt: skip
    """Return the platform in its dialect; the stack closes its connections.

    No message leaves after the ``tenure``. ``pacer`` permits the requests that the platform makes
    beside those of the engine. ``on_token_request`` is called after each request for a token.
    """
    platform = settings.platform
    options = HttpOptions(
        timeout=platform.timeout_seconds,
        connect_timeout=platform.connect_timeout_seconds,
        connections=settings.engine.workers + SPARE_CONNECTIONS,
        proxy=platform.proxy or None,
        ca_bundle=platform.ca_bundle or None,
        tenure=tenure,
    )
    http = await stack.enter_async_context(HttpClient(options, clock))
    inspect = token_inspector(settings, http)
    tokens = TokenManager(
        http, token_options(settings), clock, credentials, inspect, on_token_request
    )
    stack.push_async_callback(tokens.close)
    return open_platform(settings, http, tokens, pacer, clock, stack)


def make_pacer(settings: Settings, clock: Clock) -> QuotaPacer:
    """Return the pacer, whose quota is in requests per window."""
    platform = settings.platform
    requests = platform.requests_per_minute * platform.window_seconds / 60.0
    return QuotaPacer(max(1, int(requests)), platform.window_seconds, clock)


async def open_client(
    settings: Settings, clock: Clock, stack: AsyncExitStack
) -> tuple[Platform, QuotaPacer, PlatformReader]:
    """Return the platform for commands, with the pacer of one client and a reader that uses it."""
    _, client_settings = next(per_client_settings(settings))
    pacer = make_pacer(client_settings, clock)
    credentials = client_credentials(client_settings, clock, stack)
    platform = await make_platform(client_settings, pacer, clock, stack, credentials)
    retry = make_policy(settings).retry
    reader = PlatformReader(platform, pacer, clock, retry, random.random)
    await reader.preflight()
    return platform, pacer, reader


async def open_reader(
    settings: Settings, clock: Clock, stack: AsyncExitStack
) -> tuple[Platform, PlatformReader]:
    """Return the platform, and its reader for commands, which uses the quota of one client."""
    platform, _, reader = await open_client(settings, clock, stack)
    return platform, reader


def make_agent(settings: Settings) -> AgentAddress:
    """Return the address that metrics are sent to.

    Raises:
        SettingsError: a DD_ variable, or the setting that it overrides, is not an address.

    """
    telemetry = settings.telemetry
    try:
        return find_agent(
            telemetry.statsd_host, telemetry.statsd_port, telemetry.statsd_socket or None
        )
    except ValueError as error:
        key, _, problem = str(error).partition(" ")
        where = "environment" if key.startswith("DD_") else str(settings.origin(key) or "defaults")
        raise SettingsError([SettingsProblem(where, key, problem)]) from None


def make_policy(settings: Settings) -> DecisionPolicy:
    """Return the policy that decides about each contact."""
    retry = settings.retry
    policy = DecisionPolicy(
        open_unlinked_when_gone=settings.platform.missing_conversation == "open-unlinked",
        identity=IdentityRule(settings.rules.identity),
        engaged_seconds=retry.engaged_seconds,
        engaged_max_seconds=retry.engaged_max_minutes * 60.0,
        retry=RetryPolicy(
            max_attempts=retry.max_attempts,
            loop_after=retry.loop_after,
            not_ended_seconds=retry.not_ended_seconds,
            not_ended_max_seconds=retry.not_ended_max_minutes * 60.0,
            backoff_seconds=retry.backoff_seconds,
            backoff_max_seconds=retry.backoff_max_seconds,
        ),
        reconcile=_reconcile_policy(settings),
    )
    return adapt_policy(policy, settings)


def _reconcile_policy(settings: Settings) -> ReconcilePolicy:
    reconcile = settings.reconcile
    return ReconcilePolicy(
        resend=reconcile.delivery == "at-least-once",
        timeout=settings.platform.timeout_seconds,
        max_effect_delay=reconcile.max_effect_delay_seconds,
        max_lag=reconcile.max_lag_seconds,
        clock_skew=reconcile.clock_skew_seconds,
        look_seconds=reconcile.look_seconds,
        give_up_seconds=reconcile.give_up_hours * 3600.0,
        evidence=frozenset(map(EvidenceKind, reconcile.evidence)),
    )
