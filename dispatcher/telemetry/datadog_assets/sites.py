"""Datadog's sites: the address of the API and of the web interface."""

DEFAULT = "datadoghq.com"
"""The site without ``DD_SITE``."""

_OWN_WEB = ("us3.", "us5.", "ap1.", "ap2.")
"""Sites whose web interface has the name of the site. Source: Datadog's documentation, "Sites"."""


def api_url(site: str) -> str:
    """Return the address of the API of a site; an empty site is the default one."""
    return f"https://api.{site or DEFAULT}"


def site_url(site: str) -> str:
    """Return the address of the web interface of a site."""
    site = site or DEFAULT
    return f"https://{site}" if site.startswith(_OWN_WEB) else f"https://app.{site}"
