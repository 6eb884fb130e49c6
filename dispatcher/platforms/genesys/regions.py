"""The regions of Genesys Cloud by their domains, and the URLs of a region."""

REGIONS = (
    "mypurecloud.com",
    "mypurecloud.ie",
    "mypurecloud.com.au",
    "mypurecloud.jp",
    "mypurecloud.de",
    "usw2.pure.cloud",
    "cac1.pure.cloud",
    "apne2.pure.cloud",
    "euw2.pure.cloud",
    "aps1.pure.cloud",
    "sae1.pure.cloud",
    "mec1.pure.cloud",
    "apne3.pure.cloud",
    "euc2.pure.cloud",
    "mxc1.pure.cloud",
    "apse1.pure.cloud",
    "use2.us-gov-pure.cloud",
)
"""Every region's domain (source: platform contract, dialect genesys)."""


def login_url(region: str) -> str:
    """Return the URL at which a region issues tokens."""
    return f"https://login.{region}"


def api_url(region: str) -> str:
    """Return the URL of a region's API."""
    return f"https://api.{region}"
