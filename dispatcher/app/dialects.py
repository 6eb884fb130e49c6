"""What the dialect in the settings makes of them."""

from contextlib import AsyncExitStack
from dataclasses import replace

import structlog
from yarl import URL

from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.domain.decision import BargeIn, DecisionPolicy
from dispatcher.platforms import messaging
from dispatcher.platforms.genesys import requests
from dispatcher.platforms.genesys.platform import GenesysOptions, GenesysPlatform
from dispatcher.platforms.genesys.regions import api_url, login_url
from dispatcher.platforms.genesys.token_info import TokenInfoReader
from dispatcher.platforms.http import HttpClient
from dispatcher.platforms.token import Inspect, TokenManager
from dispatcher.ports import BackgroundPacer, Clock, Platform
from dispatcher.settings import Settings


def open_dialect(
    settings: Settings,
    http: HttpClient,
    tokens: TokenManager,
    pacer: BackgroundPacer,
    clock: Clock,
    stack: AsyncExitStack,
) -> Platform:
    """Return the platform; the stack ends what it does in the background."""
    given = settings.platform
    if given.dialect == "messaging":
        return messaging.MessagingPlatform(http, tokens, base_url(settings), clock)
    sender = requests.Sender(
        given.from_address, given.messenger, given.template, given.template_parameter
    )
    options = GenesysOptions(base_url(settings), sender, given.lineage, _lineage_lost, pacer)
    platform = GenesysPlatform(http, tokens, options, clock)
    stack.push_async_callback(platform.close)
    return platform


def inspect_of(settings: Settings, http: HttpClient) -> Inspect | None:
    """Return what tells about a new token, where the answer that issues it does not."""
    if settings.platform.dialect == "messaging":
        return None
    return TokenInfoReader(http, base_url(settings))


def base_url(settings: Settings) -> str:
    """Return where calls go."""
    given = settings.platform
    return given.base_url or api_url(given.region)


def token_url(settings: Settings) -> URL:
    """Return where tokens are issued."""
    given = settings.platform
    if given.dialect == "messaging":
        return URL(given.base_url.rstrip("/") + messaging.TOKEN_PATH)
    of_region = login_url(given.region) if given.region else given.base_url
    return URL((given.login_url or of_region) + requests.TOKEN_PATH)


def text_limit(settings: Settings) -> int:
    """Return how many characters a message may have."""
    if settings.platform.dialect == "messaging":
        return TEXT_LIMIT
    return requests.text_limit(settings.platform.messenger)


def for_dialect(rules: DecisionPolicy, settings: Settings) -> DecisionPolicy:
    """Add what the platform's calls need, and what the operator decided for them."""
    given = settings.platform
    if given.dialect == "messaging":
        return rules
    named = given.messenger in requests.BY_CONTACT
    return replace(
        rules,
        reconcile=replace(rules.reconcile, reports_links=False, reports_people=named),
        barge_in=BargeIn(given.barge_in),
        needs_identity=requests.needs_identity(given.messenger),
        needs_address=requests.needs_address(given.messenger),
    )


def _lineage_lost(conversation_id: str, why: str) -> None:
    log = structlog.get_logger()
    log.warning("lineage.not_written", conversation_id=conversation_id, detail=why)
