"""What the settings of each dialect need, and what does not go with it."""

from urllib.parse import urlsplit

from dispatcher.platforms.genesys.requests import text_limit
from dispatcher.settings.cross_checks import Check
from dispatcher.settings.field_types import is_loopback, too_long
from dispatcher.settings.model import PlatformSettings, Settings
from dispatcher.sources.rows.template import Template

MISSING = "is missing"
"""The problem of a key that is not there at all."""
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


def _base_url(s: Settings) -> tuple[str, str] | None:
    if s.platform.dialect != "messaging" or s.platform.base_url:
        return None
    return MISSING, '[platform] base_url = "https://api.example.com", or --platform-url'


def _region(s: Settings) -> tuple[str, str] | None:
    given = s.platform
    if given.dialect != "genesys" or given.region or given.base_url:
        return None
    return MISSING, '[platform] region = "mypurecloud.de": the domain of your pages there'


def _login(s: Settings) -> tuple[str, str] | None:
    given = s.platform
    if given.dialect != "genesys" or given.region or given.login_url or not given.base_url:
        return None
    if is_loopback(urlsplit(given.base_url).hostname or ""):
        return None
    return MISSING, "the API's host issues no tokens: set platform.region, or this as well"


def _from_address(s: Settings) -> tuple[str, str] | None:
    given = s.platform
    if given.dialect != "genesys" or given.from_address.strip():
        return None
    what = "the deployment's id" if given.messenger == "webmessaging" else "the sender"
    return MISSING, f'[platform] from_address = "...": {what}'


def _template(s: Settings) -> tuple[str, str] | None:
    given = s.platform
    if given.dialect != "genesys" or bool(given.template) is (given.messenger == "whatsapp"):
        return None
    if given.template:
        return 'is for messenger = "whatsapp" alone', "delete it, or set platform.messenger"
    return MISSING, '[platform] template = "...": the id of the response that WhatsApp approved'


def _parameter(s: Settings) -> tuple[str, str] | None:
    given = s.platform
    if not given.template_parameter or given.template or given.dialect != "genesys":
        return None
    return "has no effect without platform.template", "delete it, or set platform.template"


def _limit(s: Settings) -> tuple[str, str] | None:
    if s.platform.dialect != "genesys":
        return None
    limit, given = text_limit(s.platform.messenger), s.message.text
    if not too_long(given, Template(given).names, limit):
        return None
    return f"is longer than the {limit} characters that {s.platform.messenger} takes", ""


def _only_genesys(name: str) -> Check:
    def test(s: Settings) -> tuple[str, str] | None:
        given, usual = getattr(s.platform, name), PlatformSettings.model_fields[name].default
        if s.platform.dialect == "genesys" or given == usual:
            return None
        return 'is for dialect = "genesys" alone', "delete it, or set platform.dialect"

    return Check((f"platform.{name}", "platform.dialect"), test)


PLATFORM = (
    Check(("platform.base_url", "platform.dialect"), _base_url),
    Check(("platform.region", "platform.dialect", "platform.base_url"), _region),
    Check(
        ("platform.login_url", "platform.dialect", "platform.base_url", "platform.region"), _login
    ),
    Check(("platform.from_address", "platform.dialect", "platform.messenger"), _from_address),
    Check(("platform.template", "platform.dialect", "platform.messenger"), _template),
    Check(("platform.template_parameter", "platform.dialect", "platform.template"), _parameter),
    Check(("message.text", "platform.dialect", "platform.messenger"), _limit),
    *(_only_genesys(name) for name in _GENESYS),
)
"""What must fit the dialect."""
