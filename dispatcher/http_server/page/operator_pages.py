"""Where an operator looks closer: parked contacts, one contact, the lineage, and orders."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from dispatcher.domain.status import Status
from dispatcher.http_server.page import words
from dispatcher.http_server.page.charts import lineage_graph
from dispatcher.http_server.page.documents import ORDERS, RESULTS, document, order_link
from dispatcher.http_server.page.html import Html, Markup, element, join
from dispatcher.http_server.page.words import Row
from dispatcher.ports.questions import CampaignStatus
from dispatcher.ports.stored_rows import LineageRow

_LINKS = {
    "confirmed": "confirmed",
    "missing": "not found at the platform",
    "different": "the platform shows another one",
    "": "not verified yet",
}
"""The verdicts on a link, in words."""


def parked_page(statuses: Sequence[CampaignStatus], *, writable: bool, version: str) -> Markup:
    """Return how many contacts are parked, by campaign and reason."""
    rows: list[Row] = []
    for one in statuses:
        for (status, reason), number in sorted(one.totals.by_status.items(), key=str):
            if status is Status.PARKED and reason and number:
                rows.append(_parked_row(one.campaign, str(reason), number, writable=writable))
    columns = ("campaign", "reason", *(("orders",) if writable else ()), "number")
    content = (
        words.table("Parked by reason", columns, rows, figures=1)
        if rows
        else element("p", "No contact is parked.")
    )
    note = None if writable or not rows else element("p", _READS)
    return document("Parked contacts", content, note, version=version, here="Parked")


_READS = (
    "This page only reads. With control.page = true it can replay and drop them; "
    "`dispatcher parked` does the same."
)


def _parked_row(campaign: str, reason: str, number: int, *, writable: bool) -> Row:
    query = urlencode({"campaign": campaign, "reason": reason})
    look = element("a", words.plain(reason), href=f"/parked?{query}")
    orders = join(*(order_link(order, campaign, reason) for order in ("replay", "drop")))
    return words.name(campaign), look, *((orders,) if writable else ()), words.count(number)


def parked_list(
    campaign: str, reason: str, contacts: Sequence[Mapping[str, Any]], *, version: str
) -> Markup:
    """Return the first parked contacts with a reason, by their keys."""
    links = [
        element(
            "li",
            element("a", str(one["key"]), href=f"/contact?{urlencode({'name': one['key']})}"),
        )
        for one in contacts
    ]
    more = element("p", f"The first {len(links)} are shown. `dispatcher parked list` has all.")
    return document(
        f"Parked: {words.plain(reason)}",
        element("p", f"Campaign {campaign}"),
        element("ol", *links, class_="keys") if links else element("p", "There is none any more."),
        more if len(links) >= MOST_LISTED else None,
        version=version,
        here="Parked",
    )


MOST_LISTED = 50
"""Parked contacts in a list."""


def confirm_page(
    order: str, campaign: str, reason: str, number: int | None, before: float, *, version: str
) -> Markup:
    """Return the question before an order."""
    verb, effect = ORDERS[order]
    what = f"campaign {campaign}"
    if number is not None:
        what = f"{words.contacts(number)} of {what} ({words.plain(reason)})"
    values = {"campaign": campaign, "reason": reason, "before": repr(before)}
    hidden = (
        element("input", type="hidden", name=name, value=value) for name, value in values.items()
    )
    form = element(
        "form", *hidden,
        element(
            "button", f"{verb} {what}", type="submit", class_="danger" if order == "drop" else None
        ),
        element("a", "Cancel", href="/" if number is None else "/parked", class_="button"),
        method="post", action=f"/{order}",
    )  # fmt: skip
    return document(f"{verb} {what}?", element("p", effect), form, version=version)


def done_page(order: str, numbers: Mapping[str, int], *, version: str) -> Markup:
    """Return what an order did."""
    facts = [(RESULTS[name], words.count(number)) for name, number in numbers.items()]
    return document(
        f"{ORDERS[order][0]}: done",
        words.facts(*facts) if facts else None,
        element("p", element("a", "Back to the run", href="/")),
        version=version,
    )


def contact_form(name: str = "") -> Markup:
    """Return the form that asks for a contact."""
    label = "Contact key, conversation id or external contact id"
    return element(
        "form",
        element("label", label, for_="name"),
        element("input", type="text", id="name", name="name", value=name, required=True,
                autocomplete="off", spellcheck="false"),
        element("button", "Show its history", type="submit"),
        action="/contact", method="get", role="search",
    )  # fmt: skip


def contact_page(
    name: str, contacts: Sequence[Mapping[str, Any]] | None, *, version: str
) -> Markup:
    """Return the whole history of the contacts with a name; None if there are none."""
    if contacts is None:
        none = element("p", "No contact has this key or id.", role="status") if name else None
        return document("Contact", contact_form(name), none, version=version, here="Contact")
    found = map(_contact, contacts)
    return document("Contact", contact_form(name), *found, version=version, here="Contact")


_TIMES = ("due", "not_before", "expires_at", "settled_at", "intent_at", "state_at", "sent_at")
_FACTS = (
    "key", "conversation_id", "external_contact_id", "status", "reason", "attempts", "sends",
    "intent_step", "message_id", "state_seen", "correlation_id",
)  # fmt: skip
_WORDS = ("status", "reason", "intent_step", "state_seen")


def _contact(facts: Mapping[str, Any]) -> Markup:
    pairs: list[tuple[str, Html]] = [
        (words.plain(fact), words.plain(str(facts[fact])) if fact in _WORDS else str(facts[fact]))
        for fact in _FACTS
        if facts.get(fact) not in (None, "")
    ]
    pairs += [
        (words.plain(time), words.moment(facts[time]))
        for time in _TIMES
        if facts.get(time) is not None
    ]
    title = f"{facts['key']} in {facts['campaign']}"
    ident = f"contact-{facts['id']}"
    new = facts.get("new_conversation_id")
    relation, verdict = str(facts.get("relation") or ""), str(facts.get("verified") or "")
    link = _link(str(facts["conversation_id"]), new, relation, verdict)
    return words.section(
        title,
        words.facts(*pairs),
        element("div", element("h3", "Lineage"), link) if relation else None,
        element("h3", "History"),
        element("ol", *map(_entry, [*facts["story"], *_verified(facts)]), class_="timeline"),
        id_=ident,
    )


def _verified(facts: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the entry of the last check of the link, which the ledger keeps beside the history."""
    verdict = facts.get("verified")
    if verdict:
        in_words = _LINKS.get(str(verdict), str(verdict))
        yield {"time": facts.get("verified_at"), "what": "verified", "answer": in_words}


_STORY = ("answer", "means", "state", "decision", "correlation_id")
_LABELS = {
    "settled": {"answer": "as", "means": "because"},
    "replayed": {"answer": "was", "means": "because"},
    "dropped": {"answer": "was", "means": "because"},
    "deferred": {"answer": "for", "means": "because"},
    "omitted": {"answer": ""},
    "verified": {"answer": "result"},
}
"""What the values of an entry are called that is no request."""


def _entry(entry: Mapping[str, Any]) -> Markup:
    labels = _LABELS.get(str(entry["what"]), {})
    values = [
        element(
            "span",
            f"{labels.get(name, words.plain(name))} ",
            element("b", words.plain(str(entry[name]))),
        )
        for name in _STORY
        if entry.get(name) not in (None, "")
    ]
    return element(
        "li",
        element("span", words.moment(entry["time"]), class_="when"),
        element("strong", words.plain(str(entry["what"]))),
        *values,
        class_=f"step-{entry['what']}",
    )


def _link(old: str, new: str | None, relation: str, verdict: str) -> Markup:
    """Return a link as a small graph, with its words; an empty verdict: nobody has verified it."""
    label = f"{words.plain(relation)}, {_LINKS.get(verdict, verdict)}"
    kind = verdict if verdict and verdict in _LINKS else "open"
    is_new = new not in (None, old)
    return element(
        "div",
        element("code", old), lineage_graph(kind, label, "new" if is_new else "old"),
        element("code", new) if is_new else "the same conversation",
        element("span", label, class_="relation", aria_hidden="true"),
        class_="lineage",
    )  # fmt: skip


def lineage_page(
    rows: Sequence[LineageRow], following: Mapping[str, str] | None, *, version: str
) -> Markup:
    """Return links as small graphs, and the way to the ones after them."""
    items = (
        element("li", _link(
            row.previous_conversation_id, row.conversation_id, str(row.relation),
            row.verified or "",
        ))
        for row in rows
    )  # fmt: skip
    further = following and element("a", "Later links", href=f"/lineage?{urlencode(following)}")
    return document(
        "Lineage",
        element("p", "Each new conversation, and the earlier one that it continues, as they were "
                "committed. A link is confirmed when the platform's records show it."),
        element("ol", *items, class_="links") if rows else element("p", "There is no link here."),
        element("p", further) if further else None,
        version=version, here="Lineage",
    )  # fmt: skip
