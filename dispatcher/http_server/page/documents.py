"""The form of all documents, and the page of the run itself."""

from collections.abc import Sequence
from urllib.parse import urlencode

from dispatcher.http_server.page import words
from dispatcher.http_server.page.html import Html, Markup, element, join
from dispatcher.http_server.page.live import live_parts
from dispatcher.http_server.page.outlook import PageState, is_standby
from dispatcher.http_server.page.words import Row

TITLES = {
    "condition": "Condition",
    "course": "Course",
    "quota": "Quota",
    "failures": "Failures",
    "forecast": "Forecast",
    "work": "Work",
}
"""The headings of the parts that change."""
_HTMX = '{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true}'
ORDERS = {
    "replay": ("Replay", "They are tried again, or looked for if they are in doubt."),
    "drop": ("Drop", "They become skipped, and their messages are removed. This cannot be undone."),
    "pause": ("Pause", "No contact is begun until the campaign is resumed."),
    "resume": ("Resume", "Contacts are begun again."),
}
"""The orders that the page gives: their verb, and what they do."""
OF_PARKED = ("replay", "drop")
"""The orders about parked contacts."""
RESULTS = {
    "ready": "tried again",
    "in_doubt": "looked for at the platform",
    "dropped": "dropped",
}
"""The numbers in the answers to orders, and what they are called."""


def document(
    title: str, *children: Html | None, version: str, here: str = "", live: bool = False
) -> Markup:
    """Return a whole document, whose item of the menu is ``here``.

    A ``live`` one is kept up to date by events.
    """
    scripts = ("htmx.min.js", "sse.min.js", "page.js") if live else ()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="htmx-config", content=_HTMX) if live else None,
        element("title", f"{title} - dispatcher"),
        element("link", rel="icon", href=f"/static/icon.svg?{version}", type="image/svg+xml"),
        element("link", rel="stylesheet", href=f"/static/page.css?{version}"),
        *(element("script", src=f"/static/{name}?{version}", defer=True) for name in scripts),
    )
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        element("header", element("a", "dispatcher", href="/", class_="brand"), _menu(here)),
        element("main", element("h1", title), *children, id="content", tabindex="-1"),
    )
    return join(Markup("<!DOCTYPE html>\n"), element("html", head, body, lang="en"))


def _menu(here: str) -> Markup:
    items = (
        ("Run", "/"), ("Plan", "/plan"), ("Parked", "/parked"), ("Contact", "/contact"),
        ("Lineage", "/lineage"),
    )  # fmt: skip
    links = (
        element("li", element("a", name, href=path, aria_current="page" if name == here else None))
        for name, path in items
    )
    return element("nav", element("ul", *links), aria_label="Pages")


def run_page(state: PageState, *, writable: bool, version: str) -> Markup:
    """Return the page of the run, with its present state."""
    parts = live_parts(state)

    def live(name: str) -> Markup:
        return element("div", parts[name], sse_swap=name)

    run = state.run
    names = [campaign.name for campaign in run.campaigns]
    title = f"Campaign{'s' if len(names) > 1 else ''} {', '.join(names)}"
    return document(
        title if len(title) <= _LONGEST_TITLE or len(names) == 1 else f"{len(names)} campaigns",
        element(
            "div",
            element("div", live("announce"), class_="quiet", role="status", aria_live="polite"),
            element("p", "The connection is lost: these figures are old.", id="lost", hidden=True),
            live("now"),
            element("noscript", element("p", "Load the page again to see newer figures.")),
            *(words.section(TITLES[name], live(name), id_=name) for name in TITLES),
            hx_ext="sse",
            sse_connect="/events",
            id="live",
        ),
        _steering(names) if writable and not is_standby(run) else None,
        version=version,
        here="Run",
        live=True,
    )


_LONGEST_TITLE = 60


def _steering(campaigns: Sequence[str]) -> Markup:
    rows: list[Row] = [
        (words.name(name), join(*(order_link(order, name) for order in ("pause", "resume"))))
        for name in campaigns
    ]
    table = words.table("Orders to the run", ("campaign", "orders"), rows)
    return words.section("Orders", table, id_="orders")


def order_link(order: str, campaign: str, reason: str = "") -> Markup:
    """Return the link to the question before an order."""
    query = urlencode(
        {"order": order, "campaign": campaign, **({"reason": reason} if reason else {})}
    )
    what = f"{campaign}, {words.plain(reason)}" if reason else campaign
    return element(
        "a", ORDERS[order][0], element("span", f" {what}", class_="quiet"),
        href=f"/confirm?{query}", class_="button",
    )  # fmt: skip


def message_page(title: str, text: str, *, version: str) -> Markup:
    """Return a page with one sentence, as of an error."""
    return document(title, element("p", text), version=version)
