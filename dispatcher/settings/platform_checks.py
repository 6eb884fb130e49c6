"""Checks of the settings that each dialect needs or does not have."""

from collections.abc import Callable
from urllib.parse import urlsplit

from dispatcher.domain.loopback import is_loopback
from dispatcher.platforms.genesys.regions import REGIONS, api_url, find_region, login_url
from dispatcher.platforms.genesys.requests import text_limit
from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.errors import MISSING
from dispatcher.settings.model import PlatformSettings, Settings
from dispatcher.settings.sms_text import too_many_parts
from dispatcher.sources.rows.template import Template

_GENESYS = (
    "region",
    "login_url",
    "from_address",
    "messenger",
    "template",
    "template_parameter",
    "barge_in",
    "lineage",
)
"""Keys that only the dialect `genesys` has."""
_NOT_THE_API = frozenset({"app", "apps", "help", "login", "www"})
_NOT_THE_LOGIN = frozenset({"api", "app", "apps", "help", "www"})
"""First labels of a region's hosts that serve something else, such as pages."""


def _base_url(s: Settings) -> Finding | None:
    if s.platform.dialect != "messaging" or s.platform.base_url:
        return None
    return MISSING, '[platform] base_url = "https://api.example.com", or --platform-url'


def _region(platform: PlatformSettings) -> Finding | None:
    if platform.region or platform.base_url:
        return None
    return MISSING, '[platform] region = "mypurecloud.de": the domain of your pages there'


def _login(platform: PlatformSettings) -> Finding | None:
    host = urlsplit(platform.base_url).hostname or ""
    if platform.region or platform.login_url or not host or is_loopback(host):
        return None
    return MISSING, "the API's host issues no tokens: set platform.region, or this as well"


def _one_region(platform: PlatformSettings) -> Finding | None:
    """Check that tokens are not issued in another region than the one that is called."""
    hosts = {
        "platform.base_url": urlsplit(platform.base_url).hostname,
        "platform.login_url": urlsplit(platform.login_url).hostname,
        "platform.region": platform.region,
    }
    known = {
        key: region
        for key, host in hosts.items()
        if host and (region := find_region(host)) in REGIONS
    }
    if len(set(known.values())) <= 1:
        return None
    named = ", ".join(f"{key} is in {region}" for key, region in known.items())
    return "is in another region", f"{named}; a token is valid in its own region only"


def _service(url: str, others: frozenset[str]) -> str:
    """Return the region of a URL whose host is of another service of it, else ""."""
    host = (urlsplit(url).hostname or "").lower()
    first, _, domain = host.partition(".")
    return domain if first in others and domain in REGIONS else ""


def _api_host(platform: PlatformSettings) -> Finding | None:
    region = _service(platform.base_url, _NOT_THE_API)
    return ("is not the API's host", api_url(region)) if region else None


def _login_host(platform: PlatformSettings) -> Finding | None:
    region = _service(platform.login_url, _NOT_THE_LOGIN)
    return ("is not the host that issues tokens", login_url(region)) if region else None


def _from_address(platform: PlatformSettings) -> Finding | None:
    if platform.from_address.strip():
        return None
    what = "the deployment's id" if platform.messenger == "webmessaging" else "the sender"
    return MISSING, f'[platform] from_address = "...": {what}'


def _template(platform: PlatformSettings) -> Finding | None:
    if bool(platform.template) is (platform.messenger == "whatsapp"):
        return None
    if platform.template:
        return 'is only for messenger = "whatsapp"', "delete it, or set platform.messenger"
    return MISSING, '[platform] template = "...": the id of the response that WhatsApp approved'


def _parameter(platform: PlatformSettings) -> Finding | None:
    if not platform.template_parameter or platform.template:
        return None
    return "has no effect without platform.template", "delete it, or set platform.template"


def _limit(s: Settings) -> Finding | None:
    if s.platform.dialect != "genesys":
        return None
    limit, text = text_limit(s.platform.messenger), s.message.text
    if Template(text).literal_length > limit:
        return f"is longer than the {limit} characters that {s.platform.messenger} accepts", ""
    problem = too_many_parts(text) if s.platform.messenger == "sms" else ""
    return (problem, "shorten it, or write it in the 7-bit alphabet") if problem else None


def _evidence(s: Settings) -> Finding | None:
    """Check that something can prove that a message is absent."""
    if s.platform.dialect != "messaging" or set(s.reconcile.evidence) != {"availability"}:
        return None
    return (
        'has no effect: only dialect = "genesys" states up to when its records are complete',
        'add "own" or "records"',
    )


def _genesys(test: Callable[[PlatformSettings], Finding | None], key: str, *needs: str) -> Check:
    """Return a check of a key of ``[platform]`` for the dialect `genesys`."""
    return Check(
        tuple(f"platform.{name}" for name in (key, "dialect", *needs)),
        lambda s: test(s.platform) if s.platform.dialect == "genesys" else None,
    )


def _only_genesys(name: str) -> Check:
    def test(s: Settings) -> Finding | None:
        value, default = getattr(s.platform, name), PlatformSettings.model_fields[name].default
        if s.platform.dialect == "genesys" or value == default:
            return None
        return 'is only for dialect = "genesys"', "delete it, or set platform.dialect"

    return Check((f"platform.{name}", "platform.dialect"), test)


PLATFORM = (
    Check(("platform.base_url", "platform.dialect"), _base_url),
    _genesys(_region, "region", "base_url"),
    _genesys(_login, "login_url", "base_url", "region"),
    _genesys(_api_host, "base_url"),
    _genesys(_login_host, "login_url"),
    _genesys(_one_region, "base_url", "region", "login_url"),
    _genesys(_from_address, "from_address", "messenger"),
    _genesys(_template, "template", "messenger"),
    _genesys(_parameter, "template_parameter", "template"),
    Check(("message.text", "platform.dialect", "platform.messenger"), _limit),
    *(_only_genesys(name) for name in _GENESYS),
    Check(("reconcile.evidence", "platform.dialect"), _evidence),
)
"""What must fit the dialect."""
