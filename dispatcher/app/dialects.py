"""The parts of the dispatcher that depend on the platform's dialect."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import structlog
from yarl import URL

from dispatcher.app.address_settings import api_setting, token_setting
from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.domain.decision import BargeIn, DecisionPolicy, IdentityRule
from dispatcher.platforms import messaging
from dispatcher.platforms.genesys import permissions, requests
from dispatcher.platforms.genesys.platform import GenesysOptions, GenesysPlatform
from dispatcher.platforms.genesys.regions import api_url, login_url
from dispatcher.platforms.genesys.token_info import TokenInfoReader
from dispatcher.platforms.http import HttpClient
from dispatcher.platforms.missing_grants import GENESYS_PAGES
from dispatcher.platforms.token import Inspect, TokenManager, TokenOptions
from dispatcher.ports import BackgroundPacer, Clock, Platform
from dispatcher.settings import Settings


def open_platform(
    settings: Settings,
    http: HttpClient,
    tokens: TokenManager,
    pacer: BackgroundPacer,
    clock: Clock,
    stack: AsyncExitStack,
) -> Platform:
    """Return the platform; the stack stops its background work."""
    platform = settings.platform
    if platform.dialect == "messaging":
        url = base_url(settings)
        return messaging.MessagingPlatform(http, tokens, url, clock, _warn_odd_value)
    sender = requests.Sender(
        platform.from_address, platform.messenger, platform.template, platform.template_parameter
    )
    options = GenesysOptions(
        base_url(settings), sender, platform.lineage, _warn_lineage, pacer, _warn_odd_value,
        _warn_no_evidence,
    )  # fmt: skip
    genesys = GenesysPlatform(http, tokens, options, clock)
    stack.push_async_callback(genesys.close)
    return genesys


def token_inspector(settings: Settings, http: HttpClient) -> Inspect | None:
    """Return the request that reads a new token's grants; None if its answer contains them."""
    if settings.platform.dialect == "messaging":
        return None
    return TokenInfoReader(http, base_url(settings), api_setting(settings))


def token_options(settings: Settings) -> TokenOptions:
    """Return what to request from the token endpoint, and the grants that are required.

    Only the dialect `messaging` requests scopes by name and reads their names from the answer.
    The required write scopes of `genesys` are its own unless the settings change them.
    """
    platform = settings.platform
    options = TokenOptions(
        url=token_url(settings),
        write_any_of=platform.write_scopes_any_of,
        read_any_of=platform.read_scopes_any_of,
    )
    if platform.dialect == "messaging":
        return replace(options, scopes=platform.scopes)
    usual = type(platform).model_fields["write_scopes_any_of"].default
    changed = platform.write_scopes_any_of != usual
    return replace(
        options,
        write_any_of=platform.write_scopes_any_of if changed else permissions.SCOPES,
        permissions=permissions.permissions(tags=platform.lineage == "external-tag"),
        setting=token_setting(settings),
        region=platform.region or token_url(settings).host or "",
        pages=GENESYS_PAGES,
    )


def base_url(settings: Settings) -> str:
    """Return the URL below which calls are made."""
    return settings.platform.base_url or api_url(settings.platform.region)


def token_url(settings: Settings) -> URL:
    """Return the URL that issues tokens."""
    platform = settings.platform
    if platform.dialect == "messaging":
        return URL(platform.base_url.rstrip("/") + messaging.TOKEN_PATH)
    default = login_url(platform.region) if platform.region else platform.base_url
    return URL((platform.login_url or default) + requests.TOKEN_PATH)


def text_limit(settings: Settings) -> int:
    """Return how many characters a message may have."""
    if settings.platform.dialect == "messaging":
        return TEXT_LIMIT
    return requests.text_limit(settings.platform.messenger)


def text_problem(settings: Settings) -> Callable[[str], str] | None:
    """Return what finds texts that cannot be sent although they are not too long, if needed."""
    platform = settings.platform
    is_sms = platform.dialect == "genesys" and platform.messenger == "sms"
    return requests.text_problem if is_sms else None


def refuses_wrong_states(settings: Settings) -> bool:
    """Return True if a send without a state check is refused wherever the state rules it out.

    In `genesys` a message names a person and no conversation. It is refused while a conversation
    of theirs is connected, and not for a conversation that is gone, of another person, on another
    channel, or in a state that is not known.
    """
    return settings.platform.dialect == "messaging"


def adapt_policy(policy: DecisionPolicy, settings: Settings) -> DecisionPolicy:
    """Add what the dialect's calls need, and the settings that only this dialect has."""
    platform = settings.platform
    if platform.dialect == "messaging":
        return policy
    # a row's own id may be that of a merged contact, which analytics show by another id
    by_row = policy.identity is IdentityRule.ROW
    by_contact = platform.messenger in requests.BY_CONTACT and not by_row
    reconcile = replace(
        policy.reconcile, reports_links=False, reports_people=by_contact, finds_newest=True
    )
    return replace(
        policy,
        reconcile=reconcile,
        barge_in=BargeIn(platform.barge_in),
        needs_identity=not requests.needs_address(platform.messenger),
        needs_address=requests.needs_address(platform.messenger),
    )


def _warn_lineage(conversation_id: str, why: str) -> None:
    log = structlog.get_logger()
    log.warning("lineage.not_written", conversation_id=conversation_id, detail=why)


def _warn_no_evidence(path: str, why: str) -> None:
    log = structlog.get_logger()
    log.warning("reconcile.no_evidence", path=path, detail=why)


def _warn_odd_value(name: str, value: str) -> None:
    detail = "it is neither a number of seconds nor a date within a day: the default pause is used"
    structlog.get_logger().warning(
        "platform.odd_header", header=name, value=value[:100], detail=detail
    )
