"""The parts of the page that change each second. Nothing in them can be focused."""

from collections.abc import Iterator, Mapping

from dispatcher.domain.forecast import estimate_count
from dispatcher.http_server.page import words
from dispatcher.http_server.page.charts import OUTCOMES, course_chart, shares_bar
from dispatcher.http_server.page.html import Html, Markup, element, join
from dispatcher.http_server.page.outlook import (
    Outlook,
    PageState,
    by_status,
    is_known,
    outlook,
    running_words,
    state_since,
)
from dispatcher.http_server.page.words import Row
from dispatcher.ports.snapshot import (
    UNKNOWN,
    CampaignSnapshot,
    ConditionSnapshot,
    OAuthClientSnapshot,
    QuotaSnapshot,
    RunSnapshot,
    SourceSnapshot,
    WaitSnapshot,
)

MOST_CHARTS = 12
"""Campaigns with a chart of their own; of further ones there are the figures."""
LEAST_SAMPLE = 20
"""Final contacts before a forecast is made from them."""


def live_parts(state: PageState) -> dict[str, Markup]:
    """Return each part, and "announce": what a screen reader says when it changes."""
    run = state.run
    look = outlook(run, run.campaigns)
    if not is_known(run):
        unknown = element("p", "Not known yet: this run has not read its ledger.")
        later = dict.fromkeys(("course", "quota", "failures", "forecast"), unknown)
    else:
        later = {
            "course": _courses(state),
            "quota": _quota(run),
            "failures": _failures(run),
            "forecast": _forecast(run, look),
        }
    return {
        "announce": join(f"{running_words(run)}. {run.condition.title}."),
        "now": _now(run, look),
        "condition": _condition(run.condition),
        **later,
        "work": _work(run),
    }


def _now(run: RunSnapshot, look: Outlook) -> Markup:
    doing, since = running_words(run), state_since(run)
    whole = f" in a run of {words.duration(run.taken_at - run.started_at)},"
    done = f" ({look.final / look.known:.0%})" if look.known else ""
    leaders = [
        element(
            "p", f"{lease.daemon} on {lease.host} has {lease.name} since ", words.clock(lease.since)
        )
        for lease in run.leases
    ]
    return join(
        element(
            "p",
            element("strong", doing, class_=f"state {doing.partition(':')[0]}"),
            f" for {words.duration(run.taken_at - since)},",
            whole if since > run.started_at else None, " as of ",
            words.clock(run.taken_at), " UTC",
            class_="doing",
        ),
        *leaders,
        None if not is_known(run) else words.facts(
            ("final", f"{words.count(look.final)}{done}"),
            ("not final", words.count(look.left)),
            ("contacts a second", f"{run.rates.settled_10:.1f}"),
            ("requests a second", f"{run.rates.requests_10:.1f}"),
            ("in flight", words.count(run.in_flight)),
            ("will end", _end(run.taken_at, look)),
        ),
    )  # fmt: skip


def _end(now: float, look: Outlook) -> Html:
    if not look.left:
        return "nothing is left"
    if look.seconds is None:
        return "not known, see Plan" if look.halted else "not known"
    least = "at the earliest" if look.more else "about"
    return join(
        f"{least} ", words.clock(now + look.seconds), f", in {words.duration(look.seconds)}"
    )


def _condition(condition: ConditionSnapshot) -> Markup:
    title = element("p", element("strong", condition.title), class_="title")
    if condition.cause == UNKNOWN:
        since = join(f"Because {condition.words}, since ", words.clock(condition.since), " UTC.")
        return element("div", title, element("p", since), class_="condition P2")
    if condition.priority == "none":
        return element("div", title, element("p", condition.words), class_="condition good")
    evidence = [(words.plain(name), str(value)) for name, value in condition.evidence.items()]
    others = [element("li", other.words) for other in condition.others]
    since = join(f"{condition.priority}: {condition.effect}, since ", words.clock(condition.since))
    granted = f"Granted in {condition.granted_in}." if condition.granted_in else ""
    return element(
        "div",
        title,
        element("p", condition.words),
        element("p", since, " UTC."),
        words.facts(*evidence) if evidence else None,
        element("p", granted) if granted else None,
        element("h3", "What to do"),
        element("ol", *(element("li", words.with_code(step)) for step in condition.steps)),
        element("h3", "Also") if others else None,
        element("ul", *others) if others else None,
        class_=f"condition {condition.priority}",
    )


def _courses(state: PageState) -> Markup:
    run = state.run
    looks = {one.name: outlook(run, [one]) for one in run.campaigns}
    if len(run.campaigns) == 1:
        return _course(state, run.campaigns[0], looks[run.campaigns[0].name])
    rows: list[Row] = [
        (
            words.name(one.name), ", ".join(map(words.plain, one.halts)) or run.phase,
            _end(run.taken_at, looks[one.name]), words.count(looks[one.name].left),
            words.count(looks[one.name].final),
        )
        for one in run.campaigns
    ]  # fmt: skip
    columns = ("campaign", "state", "will end", "not final", "final")
    charts = [
        _course(state, one, looks[one.name], title=one.name)
        for one in run.campaigns[:MOST_CHARTS]
    ]  # fmt: skip
    table = words.table("Campaigns", columns, rows, figures=2)
    return join(table, element("div", *charts, class_="charts"))


def _course(state: PageState, campaign: CampaignSnapshot, look: Outlook, title: str = "") -> Markup:
    run, counts = state.run, by_status(campaign)
    seconds = run.taken_at - run.started_at
    end = None if look.seconds is None else seconds + look.seconds
    label = (
        f"{words.contacts(look.final)} final, {words.count(look.left)} not, "
        f"{words.duration(seconds)} after the start"
    )
    legend = (
        element(
            "li",
            element("span", class_=f"key of-{outcome}", aria_hidden="true"),
            f"{words.plain(outcome)} ",
            element("b", words.count(counts.get(outcome, 0))),
        )
        for outcome in OUTCOMES
    )
    ends = look.seconds if look.left and look.seconds else 0.0
    return element(
        "figure",
        element("figcaption", title) if title else None,
        element("p", words.contacts(look.known), class_="axis"),
        course_chart(state.courses[campaign.name], look.left, end, label),
        element(
            "p",
            element("span", "start ", words.clock(run.started_at)),
            element("span", "end " if ends else "now ", words.clock(run.taken_at + ends)),
            class_="axis",
        ),
        element("ul", *legend, class_="legend"),
    )


def _quota(run: RunSnapshot) -> Markup:
    figures = [_client(client) for client in run.clients] or [_one_quota("", run.quota)]
    times = "once" if run.throttled == 1 else f"{run.throttled:,} times"
    throttled = f"The platform answered 429 {times}." if run.throttled else ""
    return join(*figures, element("p", throttled) if throttled else None)


def _one_quota(name: str, quota: QuotaSnapshot, more: str = "") -> Markup:
    text = "not known until the first window of the quota is over"
    if quota.limit:
        text = (
            f"{words.count(quota.own)} ours, {words.count(quota.others)} of others, "
            f"{words.count(quota.left)} left of {words.count(quota.limit)} requests a minute"
        )
    bar = shares_bar({"ours": quota.own, "others": quota.others}, quota.limit, text)
    title = f"client {name}: {text}" if name else text
    return element("figure", bar, element("figcaption", title, more))


def _client(client: OAuthClientSnapshot) -> Markup:
    halts = ", ".join(map(words.plain, client.halts))
    halted = f"; halted: {halts}" if halts else ""
    return _one_quota(client.name, client.quota, f"; {client.requests:,} requests{halted}")


def _failures(run: RunSnapshot) -> Markup:
    kinds: tuple[tuple[str, Mapping[str, int]], ...] = (
        ("scope errors", run.failures.scope_errors),
        ("closed-session conflicts", run.failures.closed_session_conflicts),
        ("retry loops", run.failures.retry_loops),
    )
    rows: list[Row] = [
        (
            name, ", ".join(f"{words.plain(tag)}: {n:,}" for tag, n in tags.items()) or "none",
            words.count(sum(tags.values())),
        )
        for name, tags in kinds
    ]  # fmt: skip
    return words.table("Counted apart", ("failure", "by cause", "number"), rows, figures=1)


def _forecast(run: RunSnapshot, look: Outlook) -> Markup:
    if not look.left:
        return element("p", "No contact is left.")
    if look.final < LEAST_SAMPLE:
        return element("p", f"It follows from the first {LEAST_SAMPLE} final contacts.")
    outcomes: dict[str, int] = {}
    for campaign in run.campaigns:
        for status in OUTCOMES:
            for reason, number in campaign.outcomes.get(status, {}).items():
                name = f"{words.plain(status)}: {words.plain(reason)}"
                outcomes[name] = outcomes.get(name, 0) + number
    rows: list[Row] = []
    for name, number in outcomes.items():
        expected = estimate_count(number, look.final, look.known)
        between = f"{expected.low:,} to {expected.high:,}"
        rows.append((name, words.count(number), words.count(expected.number), between))
    requests = f"about {look.left * run.requests_per_contact:,.0f} requests"
    caption = "If the contacts that are left are like those that are final"
    columns = ("outcome", "so far", "at the end", "between")
    note = element("p", f"The contacts that are left take {requests}.")
    return join(words.table(caption, columns, rows, figures=3), note)


def _work(run: RunSnapshot) -> Markup:
    rows = [*_waits(run), *_sources(run), *_sinks(run), *_ledger(run)]
    return words.table("What waits, and where it comes from and goes to", ("what", "state"), rows)


def _waits(run: RunSnapshot) -> Iterator[Row]:
    for campaign in run.campaigns:
        several = len(run.campaigns) > 1
        of = join(" (", words.name(campaign.name), ")") if several else Markup("")
        oldest = campaign.oldest_due
        since = f", the oldest for {words.duration(run.taken_at - oldest)}" if oldest else ""
        yield join("due now", of), f"{words.contacts(campaign.due)}{since if campaign.due else ''}"
        for wait in campaign.waits:
            number = words.contacts(wait.contacts)
            yield join("waits", of, f": {words.plain(wait.reason)}"), join(number, _until(wait))
        if (doubt := campaign.in_doubt) is not None:
            look = doubt.next_look
            when = "" if look is None else join("; the next look back is at ", words.clock(look))
            yield join("in doubt", of), join(words.contacts(doubt.contacts), when)


def _until(wait: WaitSnapshot) -> Html:
    if wait.first is None or wait.last is None:
        return ""
    first = words.clock(wait.first)
    if int(wait.last) == int(wait.first):
        return join(", until ", first, " UTC")
    return join(", until ", first, " the first, ", words.clock(wait.last), " the last (UTC)")


def _sources(run: RunSnapshot) -> Iterator[Row]:
    for campaign in run.campaigns:
        source, rows = campaign.source, campaign.rows
        read = ", ".join(f"{number:,} {name}" for name, number in rows.items())
        state = _source_words(source) if source is not None else "not open yet"
        kind = f" ({source.kind})" if source is not None else ""
        title = join("source of ", words.name(campaign.name), kind)
        yield title, f"{read}; {state}" if read else state


def _source_words(source: SourceSnapshot) -> str:
    if source.waits_for:
        return f"waits: {source.waits_for}"
    if source.ended:
        return "at its end"
    return "more rows may come" if source.lag is None else f"{source.lag:,} rows wait in it"


def _sinks(run: RunSnapshot) -> Iterator[Row]:
    for sink in run.sinks:
        error = f": {sink.error}" if sink.error else ""
        yield join("sink ", words.name(sink.name)), f"{sink.lag:,} rows wait{error}"


def _ledger(run: RunSnapshot) -> Iterator[Row]:
    ledger = run.ledger
    if ledger.away_since is not None:
        yield "ledger", join("does not answer since ", words.clock(ledger.away_since), " UTC")
    elif ledger.size:
        free = "" if ledger.free is None else f", {words.size(ledger.free)} free"
        commit = f", a commit takes {ledger.commit * 1000:.1f} ms" if ledger.commit else ""
        yield "ledger", f"{words.size(ledger.size)}{free}{commit}"
