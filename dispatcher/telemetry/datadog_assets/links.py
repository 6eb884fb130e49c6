"""Links to a dashboard whose address may have a query or a fragment already."""

import re

_LINK = re.compile(r"\$\{dashboard_url\}\?(\S+)")


def link_dashboard(text: str, url: str) -> str:
    """Return the text with its links ``${dashboard_url}?QUERY`` made of the dashboard's address."""
    return _LINK.sub(lambda found: add_query(url, found[1]), text)


def add_query(url: str, query: str) -> str:
    """Return the address with a further query, which replaces values of the same names.

    A query is before a fragment: RFC 3986, section 3. It is not encoded, because it may have
    Datadog's ``{{variables}}``.
    """
    address, mark, fragment = url.partition("#")
    base, _, present = address.partition("?")
    names = {pair.partition("=")[0] for pair in query.split("&")}
    kept = [pair for pair in present.split("&") if pair and pair.partition("=")[0] not in names]
    return f"{base}?{'&'.join([*kept, query])}{mark}{fragment}"
