"""The plan of a campaign that does nothing at present: what it would do if it went on now."""

from collections.abc import Sequence
from urllib.parse import urlencode

from dispatcher.http_server.page import words
from dispatcher.http_server.page.documents import document, order_link
from dispatcher.http_server.page.html import Html, Markup, element, join
from dispatcher.http_server.page.outlook import is_at_rest
from dispatcher.http_server.page.words import Row
from dispatcher.ports.plan import Bounds, CampaignPlan
from dispatcher.ports.snapshot import RUNNING, CampaignSnapshot, RunSnapshot


def plans_page(run: RunSnapshot, *, version: str) -> Markup:
    """Return the campaigns of a run, with a link to the plan of each that does nothing now."""
    if run.phase != RUNNING:
        text = f"There is no plan now: this run is {run.phase}."
        return document("Plan", element("p", text), version=version, here="Plan")
    rows: list[Row] = [_campaign_row(run, one) for one in run.campaigns]
    columns = ("campaign", "state", "plan", "not final")
    table = words.table("A campaign that runs has a forecast", columns, rows, figures=1)
    return document("Plan", table, version=version, here="Plan")


def _campaign_row(run: RunSnapshot, campaign: CampaignSnapshot) -> Row:
    link: Html = element("a", "Forecast", href="/#forecast")
    if is_at_rest(run, campaign):
        query = urlencode({"campaign": campaign.name})
        hidden = element("span", f" of {campaign.name}", class_="quiet")
        link = element("a", "Plan", hidden, href=f"/plan?{query}")
    return words.name(campaign.name), _state(run, campaign), link, words.count(campaign.left)


def _state(run: RunSnapshot, campaign: CampaignSnapshot) -> str:
    halts = {**run.halts, **campaign.halts}
    if halts:
        return ", ".join(map(words.plain, halts))
    return "not begun" if is_at_rest(run, campaign) else "running"


def _look(run: RunSnapshot, campaign: CampaignSnapshot) -> str:
    """Return the class of the state: a halt is more than a pause."""
    return "halted" if {*run.halts, *campaign.halts} - {"paused"} else "paused"


def running_page(campaign: str, *, version: str) -> Markup:
    """Return that a campaign which runs has no plan, but a forecast."""
    return document(
        f"Plan of campaign {campaign}",
        element("p", "It runs. What it will do is on the page of the run: ",
                element("a", "Forecast", href="/#forecast"), "."),
        element("p", "There is a plan while it is paused or halted, and before it begins."),
        version=version, here="Plan",
    )  # fmt: skip


def plan_page(
    run: RunSnapshot, campaign: CampaignSnapshot, plan: CampaignPlan, *, writable: bool,
    version: str,
) -> Markup:  # fmt: skip
    """Return the plan of one campaign."""
    resumes = writable and campaign.paused_since is not None
    return document(
        f"Plan of campaign {plan.campaign}",
        element(
            "p",
            element("strong", _state(run, campaign), class_=f"state {_look(run, campaign)}"),
            " What it would do if it went on now. Made at ", words.clock(plan.made_at),
            " UTC from the ledger", " and the source" if plan.rows else "",
            ", without a request to the platform.",
            class_="doing",
        ),
        words.facts(
            ("contacts", words.count(plan.contacts)),
            ("requests", _bounds(plan.requests["all"])),
            ("requests a minute", words.count(plan.requests_per_minute)),
            ("it takes", _seconds(plan.seconds)),
            ("would end", _end(plan)),
            ("due later", _later(plan)),
        ),
        element("p", element("strong", "It would halt. "), plan.halt) if plan.halt else None,
        element("p", order_link("resume", plan.campaign), class_="orders") if resumes else None,
        element(
            "div",
            words.section("What a run would do", _outcomes(plan), id_="outcomes"),
            words.section("Requests", _requests(plan), id_="requests"),
            words.section("Rows and contacts", _rows(campaign, plan), id_="rows"),
            words.section("What is not known", _unknown(plan), id_="unknown"),
            class_="pairs",
        ),
        version=version, here="Plan",
    )  # fmt: skip


def _bounds(bounds: Bounds) -> str:
    if bounds.least == bounds.most:
        return words.count(bounds.least)
    return f"{words.count(bounds.least)} to {words.count(bounds.most)}"


def _seconds(bounds: Bounds) -> str:
    least, most = map(words.duration, bounds)
    return least if least == most else f"{least} to {most}"


def _end(plan: CampaignPlan) -> Html:
    if not plan.contacts:
        return "nothing is left"
    ends = [plan.made_at + seconds for seconds in plan.seconds]
    shown = words.clock if ends[1] - plan.made_at < _HALF_A_DAY else words.minute
    least, most = map(shown, ends)
    return join("about ", least, " UTC") if least == most else join(least, " to ", most, " UTC")


_HALF_A_DAY = 43_200


def _later(plan: CampaignPlan) -> Html:
    if not plan.later:
        return "none"
    last = words.minute(plan.last_due)
    return join(f"{words.contacts(plan.later)}, the last at ", last, " UTC")


def _unknown(plan: CampaignPlan) -> Markup:
    more = (
        "`dispatcher plan` reads the states of a sample, and estimates the outcomes from it. That "
        "takes requests out of the quota, and its result is not kept."
    )
    items = (element("li", words.with_code(text)) for text in plan.unknown)
    return join(element("ul", *items), element("p", words.with_code(more)))


def _rows(campaign: CampaignSnapshot, plan: CampaignPlan) -> Markup:
    known: Sequence[tuple[str, str, int]] = [*plan.rows, *plan.waiting]
    rows: list[Row] = [
        (what, words.plain(reason), words.count(number)) for what, reason, number in known
    ]
    if parked := campaign.total("parked"):
        query = urlencode({"campaign": campaign.name})
        link = element("a", "parked earlier, not planned", href=f"/parked?{query}")
        rows.append(("in the ledger", link, words.count(parked)))
    remarks = (element("p", words.with_code(text)) for text in plan.remarks)
    table = words.table("By what they are", ("rows", "reason", "number"), rows, figures=1)
    return join(table, *remarks)


def _outcomes(plan: CampaignPlan) -> Markup:
    rows: list[Row] = [
        (becomes, words.plain(reason), words.count(number))
        for becomes, reason, number in plan.outcomes
    ]
    rows.append(("not known yet", "the state of the session decides", words.count(plan.undecided)))
    columns = ("would become", "reason", "contacts")
    return words.table("As far as rows and ledger show it", columns, rows, figures=1)


def _requests(plan: CampaignPlan) -> Markup:
    def most(name: str, bounds: Bounds) -> str:
        is_open = name == "rechecks" and plan.undecided
        return "not known" if is_open else words.count(bounds.most)

    rows: list[Row] = [
        (name, words.count(bounds.least), most(name, bounds))
        for name, bounds in plan.requests.items()
    ]
    columns = ("requests", "least", "most")
    return words.table("All of them without rechecks", columns, rows, figures=2)
