"""One reader for each part of a scenario."""

from typing import get_args

from dispatcher.sandbox.conversation_kinds import KINDS
from dispatcher.sandbox.scenario.model import (
    ENDPOINTS,
    READ_SCOPES,
    WRITE_SCOPES,
    ActionName,
    Analytics,
    Denial,
    Event,
    Fault,
    FaultKind,
    GenesysRules,
    Limit,
    Mask,
    Messenger,
    Other,
    RateRules,
    Spread,
    TokenRules,
    WorldRules,
)
from dispatcher.sandbox.scenario.table import Table

_MINIMUM_WINDOW = 0.01
_EFFECT_IS_OPEN = frozenset(
    {"no_answer", "error_500", "error_502", "error_503_html", "html_200", "redirect"}
)


def mask(table: Table, key: str = "mask") -> Mask | None:
    """Read where a missing write scope is masked: false, true (on open) or "all"."""
    value = table.get(key)
    if value is None:
        return None
    if value is False or value is True:
        return "open" if value else "no"
    if value == "all":
        return "all"
    table.mistake(key, f'must be true, false or "all", not {value!r}')
    return None


def denial(table: Table, key: str, usual: Denial) -> Denial:
    """Read what the body of a 403 names."""
    lacks: tuple[Denial, ...] = get_args(Denial)
    return table.choice(key, lacks, usual)


def token(root: Table) -> TokenRules:
    """Read ``[token]``."""
    usual = TokenRules()
    with root.table("token") as table:
        rules = TokenRules(
            client_id=table.text("client_id", usual.client_id),
            client_secret=table.text("client_secret", usual.client_secret),
            expires_in=table.integer("expires_in", usual.expires_in, 1),
            lives=table.optional_number("lives"),
            granted=table.texts("granted", READ_SCOPES + WRITE_SCOPES),
            mask=mask(table) or "no",
            unauthorized=table.flag("unauthorized", default=False),
            deny=denial(table, "deny", "no"),
            contact_denial=denial(table, "contact_denial", "no"),
            permissions=table.texts("permissions", usual.permissions),
            divisions=table.texts("divisions", usual.divisions),
        )
        if rules.unauthorized and rules.mask != "no":
            table.mistake("unauthorized", "cannot be combined with mask")
    return rules


def rate(root: Table) -> RateRules:
    """Read ``[rate]`` and ``[rate.other]``."""
    usual = RateRules()
    with root.table("rate") as table, table.table("other") as other:
        return RateRules(
            allowed=table.integer("allowed", usual.allowed, 1),
            window_seconds=table.number("window_seconds", usual.window_seconds, _MINIMUM_WINDOW),
            headers=table.flag("headers", default=True),
            phase=_phase(table),
            other=Other(
                per_window=other.integer("per_window", 0),
                mode=other.choice("mode", ("steady", "burst"), "steady"),
            ),
        )


def rate_change(table: Table) -> tuple[int | None, float | None]:
    """Read a change of the quota: how many are allowed, in windows of how many seconds."""
    allowed = table.optional_integer("allowed", 1)
    return allowed, table.optional_number("window_seconds", _MINIMUM_WINDOW)


def _phase(table: Table) -> float | None:
    return None if table.get("phase") == "random" else table.optional_number("phase")


def limits(root: Table) -> tuple[Limit, ...]:
    """Read ``[[limit]]``."""
    return tuple(_limit(table) for table in root.tables("limit"))


def _limit(table: Table) -> Limit:
    return Limit(
        endpoint=table.choice("endpoint", ENDPOINTS, "notify"),
        key=table.required_text("key"),
        value=table.integer("value", 0),
        retry_after=table.number("retry_after", 3600.0),
        namespace=table.text("namespace", "messaging"),
    )


def latency(root: Table) -> dict[str, Spread]:
    """Read ``[latency.ENDPOINT]`` and ``[latency.default]``."""
    with root.table("latency") as table:
        names = table.keys()
        for name in names:
            if name not in (*ENDPOINTS, "default"):
                table.mistake(name, f"must be one of default, {', '.join(ENDPOINTS)}")
        return {name: _spread(table, name, Spread()) for name in names}


def _spread(root: Table, key: str, usual: Spread) -> Spread:
    with root.table(key) as table:
        spread = Spread(
            kind=table.choice("kind", ("fixed", "uniform", "lognormal"), usual.kind),
            ms=table.number("ms", usual.ms),
            low_ms=table.number("low_ms", usual.low_ms),
            high_ms=table.number("high_ms", usual.high_ms),
            sigma=table.number("sigma", usual.sigma),
            max_ms=table.number("max_ms", usual.max_ms),
        )
        if spread.kind == "uniform" and spread.high_ms < spread.low_ms:
            table.mistake("high_ms", "must not be below low_ms")
    return spread


def faults(root: Table, key: str = "fault") -> tuple[Fault, ...]:
    """Read ``[[fault]]``."""
    return tuple(_fault(table) for table in root.tables(key))


def _fault(table: Table) -> Fault:
    kinds: tuple[FaultKind, ...] = get_args(FaultKind)
    table.required_text("kind")
    fault = Fault(
        kind=table.choice("kind", kinds, "slow"),
        endpoints=_endpoints(table),
        probability=_probability(table),
        every=table.integer("every", 0, 1),
        nth=table.integers("nth"),
        from_seconds=table.number("from_seconds", 0.0),
        until_seconds=table.optional_number("until_seconds"),
        delay=_spread(table, "delay", Spread(ms=2000.0)),
        effect=table.flag("effect", default=False),
        retry_after=table.integer("retry_after", 2),
        status=307 if table.integer("status", 307) == 307 else 302,  # noqa: PLR2004 - HTTP status
        location=table.text("location", "/login"),
    )
    _check_fault(table, fault)
    return fault


def _probability(table: Table) -> float | None:
    if table.get("probability") is None:
        return None
    return table.number("probability", 0.0, 0.0, 1.0)


def _check_fault(table: Table, fault: Fault) -> None:
    if [fault.probability is None, not fault.every, not fault.nth].count(False) > 1:
        table.mistake("probability", "only one of probability, every and nth can be given")
    if fault.effect and fault.kind not in _EFFECT_IS_OPEN:
        table.mistake("effect", f"is fixed for {fault.kind}")
    if table.get("status") not in (None, 302, 307):
        table.mistake("status", f"must be 302 or 307, not {table.get('status')!r}")


def _endpoints(table: Table) -> tuple[str, ...]:
    single = table.get("endpoint")
    names = table.texts("endpoints", ("notify", "open"))
    if isinstance(single, str):
        names = (single,)
    elif single is not None:
        table.mistake("endpoint", f"must be a text, not {single!r}")
    wrong = [name for name in names if name not in ENDPOINTS]
    if wrong:
        table.mistake("endpoint", f"must be of {', '.join(ENDPOINTS)}, not {', '.join(wrong)}")
    return tuple(name for name in names if name in ENDPOINTS)


def events(root: Table) -> tuple[Event, ...]:
    """Read ``[[event]]``."""
    return tuple(_event(table) for table in root.tables("event"))


def _event(table: Table) -> Event:
    actions: tuple[ActionName, ...] = get_args(ActionName)
    table.required_text("action")
    allowed, window = rate_change(table)
    permissions, divisions = table.texts("permissions", ()), table.texts("divisions", ())
    event = Event(
        action=table.choice("action", actions, "revoke"),
        at_seconds=table.optional_number("at_seconds"),
        after_effects=table.optional_integer("after_effects", 1),
        delay_seconds=table.number("delay_seconds", 0.0),
        permissions=permissions,
        divisions=divisions,
        scopes=table.texts("scopes", () if permissions or divisions else WRITE_SCOPES),
        mask=mask(table),
        lack=denial(table, "lack", "permission"),
        seconds=table.number("seconds", 10.0),
        allowed=allowed,
        window_seconds=window,
    )
    if (event.at_seconds is None) == (event.after_effects is None):
        table.mistake("at_seconds", "give either at_seconds or after_effects")
    return event


def analytics(root: Table) -> Analytics:
    """Read ``[analytics]``."""
    with root.table("analytics") as table:
        return Analytics(
            keep=table.flag("keep", default=True),
            lag_seconds=table.number("lag_seconds", 0.0),
            straggler_share=table.number("straggler_share", 0.0, 0.0, 1.0),
            straggler_lag_seconds=table.number("straggler_lag_seconds", 0.0),
        )


def genesys(root: Table) -> GenesysRules:
    """Read ``[genesys]``."""
    usual = GenesysRules()
    messengers: tuple[Messenger, ...] = get_args(Messenger)
    with root.table("genesys") as table:
        status = table.integer("active_status", usual.active_status)
        if status not in (400, 409):
            table.mistake("active_status", f"must be 400 or 409, not {status}")
        return GenesysRules(
            messenger=table.choice("messenger", messengers, usual.messenger),
            deployments=table.texts("deployments", usual.deployments),
            threading_minutes=table.integer("threading_minutes", usual.threading_minutes),
            active_status=400 if status == 400 else 409,  # noqa: PLR2004 - HTTP status
            details_ids=table.integer("details_ids", usual.details_ids, 1),
        )


def world(root: Table) -> WorldRules:
    """Read ``[world]`` and ``[world.shares]``."""
    usual = WorldRules()
    with root.table("world") as table:
        return WorldRules(
            shares=_shares(table) or usual.shares,
            ended_after=table.number("ended_after", usual.ended_after),
            leaves_after=table.number("leaves_after", usual.leaves_after),
            extra_fields_share=table.number(
                "extra_fields_share", usual.extra_fields_share, 0.0, 1.0
            ),
        )


def _shares(root: Table) -> tuple[tuple[str, float], ...]:
    with root.table("shares") as table:
        names = table.keys()
        for name in names:
            if name not in KINDS:
                table.mistake(name, "is no kind of conversation")
        shares = tuple((name, table.number(name, 0.0)) for name in names if name in KINDS)
        if shares and not sum(weight for _, weight in shares):
            root.mistake("shares", "must not all be zero")
    return shares
