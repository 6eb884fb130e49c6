"""The regions of Genesys Cloud: their domains, what people write for them, and their URLs."""

import re
from urllib.parse import urlsplit

from dispatcher.platforms.genesys.spelling import is_one_edit

BY_AWS_REGION = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
}
"""Every region's domain by the AWS region that it is in (source: the SDK's region hosts)."""
REGIONS = tuple(BY_AWS_REGION.values())
"""Every region's domain."""

_SERVICES = frozenset({"api", "apps", "app", "login", "www", "help", "developer", "signin"})
"""First labels of hosts in a region's domain."""
_NEWER = re.compile(
    r"mypurecloud\.[a-z]{2,3}(\.[a-z]{2})?|[a-z]+[0-9]\.([a-z]+-)*pure\.cloud|[a-z]+[0-9]*\.genesys\.cloud"
)
"""Domains as the platform names its regions."""
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_PURE_CLOUD = ".pure.cloud"


def find_region(written: str) -> str | None:
    """Return the region's domain that a person means; None if nothing in it can be a domain.

    A URL or a host of the region, its AWS region or that one's short form, in any case, mean the
    region. Any other domain is returned as it is: it may be a region that is newer than `REGIONS`.
    """
    value = written.strip().lower()
    host = _host(value).strip(".")
    short = host.removesuffix(_PURE_CLOUD).removeprefix("prod-").replace("_", "-").replace(" ", "-")
    for region in REGIONS:
        if host == region or host.endswith(f".{region}"):
            return region
    if (found := BY_AWS_REGION.get(short) or _BY_SHORT_FORM.get(short)) is not None:
        return found
    first, _, rest = host.partition(".")
    domain = rest if first in _SERVICES and _DOMAIN.fullmatch(rest) else host
    return domain if _DOMAIN.fullmatch(domain) else None


def _host(value: str) -> str:
    """Return the host of a URL, or of what looks like the rest of one; "" if there is none."""
    if "://" not in value:
        return re.split(r"[/:?#]", value)[0]
    try:
        return urlsplit(value).hostname or ""
    except ValueError:
        return ""


def closest_region(domain: str) -> str | None:
    """Return the region that a domain is probably a typing mistake of, None if there is none."""
    return next((region for region in REGIONS if is_one_edit(domain, region)), None)


def may_be_newer(domain: str) -> bool:
    """Return True if a domain is probably a region that is newer than this program.

    A domain that is one typing mistake away from a region is not: it may be somebody else's, and
    would get the client's secret. Everything below ``pure.cloud`` is the platform's own.
    """
    if domain.endswith(_PURE_CLOUD) and _NEWER.fullmatch(domain):
        return True
    return closest_region(domain) is None


def login_url(region: str) -> str:
    """Return the URL at which a region issues tokens."""
    return f"https://login.{region}"


def api_url(region: str) -> str:
    """Return the URL of a region's API."""
    return f"https://api.{region}"


def _short_form(aws_region: str) -> str:
    """Return ``euc1`` for ``eu-central-1``."""
    *places, direction, number = aws_region.split("-")
    letters = direction.replace("north", "n").replace("south", "s")
    letters = letters.replace("east", "e").replace("west", "w").replace("central", "c")
    return f"{''.join(places)}{letters}{number}"


_BY_SHORT_FORM = {_short_form(name): domain for name, domain in BY_AWS_REGION.items()}
