"""Settings become objects, here and nowhere else."""

from contextlib import AsyncExitStack
from zoneinfo import ZoneInfo

from dispatcher.app.credentials import make_credentials
from dispatcher.app.dialects import (
    for_dialect,
    inspect_of,
    open_dialect,
    text_limit,
    token_url,
)
from dispatcher.app.needs import with_needs
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.unsettled_send import ReconcilePolicy
from dispatcher.pacing.pacer import QuotaPacer
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.token import TokenManager, TokenOptions
from dispatcher.ports import BackgroundPacer, Clock, Platform, Source
from dispatcher.settings import Settings, SettingsError, SettingsProblem, variables_of
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import Layout, RowRules, Timing
from dispatcher.telemetry.metrics.agent import AgentAddress, find_agent

SPARE_CONNECTIONS = 4
"""Besides one for each worker: for tokens. No request ever waits for a connection, so what was
permitted leaves at once."""


def make_source(settings: Settings, *, once: bool) -> Source:
    """Return the source of the settings; it is not opened yet."""
    given = settings.source
    rules = RowRules(
        columns={str(meaning): name for meaning, name in given.columns.items()},
        filter=given.filter,
        text=settings.message.text or None,
        subject=settings.message.subject or None,
        zone=ZoneInfo(given.timezone),
        text_limit=text_limit(settings),
    )
    return open_source(
        given.path,
        rules,
        watch=given.watch,
        once=once,
        layout=Layout(
            format=given.format,
            delimiter=given.delimiter,
            max_record_lines=given.max_record_lines,
        ),
        timing=Timing(given.poll_seconds, given.stable_seconds) if given.watch else None,
    )


async def make_platform(
    settings: Settings, pacer: BackgroundPacer, clock: Clock, stack: AsyncExitStack
) -> Platform:
    """Return the platform in its dialect; the stack closes its connections.

    ``pacer`` permits the requests that the platform makes beside those of the engine.
    """
    given = settings.platform
    options = HttpOptions(
        timeout=given.timeout_seconds,
        connect_timeout=given.connect_timeout_seconds,
        connections=settings.engine.workers + SPARE_CONNECTIONS,
        proxy=given.proxy or None,
        ca_bundle=given.ca_bundle or None,
    )
    http = await stack.enter_async_context(HttpClient(options, clock))
    given_credentials, names = settings.credentials, variables_of(settings)
    credentials = make_credentials(given_credentials, stack, settings.environment, clock, names)
    inspect = inspect_of(settings, http)
    tokens = TokenManager(http, token_options(settings), clock, credentials, inspect)
    stack.push_async_callback(tokens.close)
    return open_dialect(settings, http, tokens, pacer, clock, stack)


def token_options(settings: Settings) -> TokenOptions:
    """Return what to ask the token endpoint for.

    Only the dialect `messaging` asks for scopes by name and is told by name what it got.
    """
    given = settings.platform
    named = given.dialect == "messaging"
    options = TokenOptions(
        url=token_url(settings),
        scopes=given.scopes if named else (),
        write_any_of=given.write_scopes_any_of,
        read_any_of=given.read_scopes_any_of,
    )
    usual = type(given).model_fields["write_scopes_any_of"].default
    chosen = given.write_scopes_any_of != usual
    tags = given.lineage == "external-tag"
    return with_needs(options, given.dialect, scopes_chosen=chosen, tags=tags)


def make_pacer(settings: Settings, clock: Clock) -> QuotaPacer:
    """Return the pacer: requests a minute become requests a window."""
    given = settings.platform
    requests = given.requests_per_minute * given.window_seconds / 60.0
    return QuotaPacer(max(1, int(requests)), given.window_seconds, clock)


def make_agent(settings: Settings) -> AgentAddress:
    """Return where metrics go.

    Raises:
        SettingsError: a DD_ variable, or the setting that it overrules, is no address.

    """
    given = settings.telemetry
    try:
        return find_agent(given.statsd_host, given.statsd_port, given.statsd_socket or None)
    except ValueError as error:
        key, _, problem = str(error).partition(" ")
        where = "environment" if key.startswith("DD_") else str(settings.origin(key) or "defaults")
        raise SettingsError([SettingsProblem(where, key, problem)]) from None


def make_rules(settings: Settings) -> DecisionPolicy:
    """Return what the operator decided, as the domain has it."""
    given = settings.retry
    rules = DecisionPolicy(
        open_unlinked_when_gone=settings.platform.missing_conversation == "open-unlinked",
        engaged_seconds=given.engaged_seconds,
        engaged_max_seconds=given.engaged_max_minutes * 60.0,
        retry=RetryPolicy(
            max_attempts=given.max_attempts,
            loop_after=given.loop_after,
            not_ended_seconds=given.not_ended_seconds,
            not_ended_max_seconds=given.not_ended_max_minutes * 60.0,
            backoff_seconds=given.backoff_seconds,
            backoff_max_seconds=given.backoff_max_seconds,
        ),
        reconcile=_reconcile_policy(settings),
    )
    return for_dialect(rules, settings)


def _reconcile_policy(settings: Settings) -> ReconcilePolicy:
    given = settings.reconcile
    return ReconcilePolicy(
        resend=given.delivery == "at-least-once",
        timeout=settings.platform.timeout_seconds,
        max_effect_delay=given.max_effect_delay_seconds,
        max_lag=given.max_lag_seconds,
        clock_skew=given.clock_skew_seconds,
        look_seconds=given.look_seconds,
        give_up_seconds=given.give_up_hours * 3600.0,
    )
