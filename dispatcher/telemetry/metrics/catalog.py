"""The names of all metrics, their tags, and the series that are sent from the start."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product

from dispatcher.domain.answer import NoAnswerCause
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.status import (
    HaltReason,
    Irregularity,
    Reason,
    Resolution,
    RetryReason,
    ScopeSource,
    SendAnswer,
    Status,
    Step,
)

PREFIX = "dispatcher"
"""Prefix of every name, before a dot."""

Key = tuple[str, ...]
"""One series: the metric's name, then the values of its tags in the order of the tables."""

COUNTS: Mapping[str, tuple[str, ...]] = {
    "contacts.admitted": (),
    "contacts.duplicate": (),
    "contacts.rejected_rows": (),
    "source.rows": (),
    "source.irregularities": ("kind",),
    "intake.posts": ("status",),
    "intake.rows": (),
    "contacts.settled": ("status", "reason"),
    "scope_errors": ("source",),
    "closed_session_conflicts": ("step", "status"),
    "retry_loops": ("step",),
    "unchecked_sends": ("step", "answer"),
    "retries": ("reason",),
    "in_doubt": ("resolution",),
    "api.requests": ("endpoint", "status"),
    "api.throttled": (),
    "run.started": ("mode",),
    "run.exits": ("code",),
    "statsd.dropped": (),
    "token.requests": ("status",),
    "halts": ("reason",),
}
"""Counts and the names of their tags."""

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "api.latency": ("endpoint",),
    "contact.latency": (),
    "state.age": (),
    "token.latency": (),
}
"""Distributions, all in milliseconds, and the names of their tags."""

GAUGES: Mapping[str, tuple[str, ...]] = {
    "in_flight": (),
    "backlog": (),
    "oldest_due": (),
    "pace": (),
    "quota.used": (),
    "quota.limit": (),
    "quota.own": (),
    "quota.others": (),
    "contacts.current": ("state", "reason"),
    "source.age": (),
    "source.ended": (),
    "source.lag": (),
    "lineage.sink_lag": ("sink",),
    "requests.per_contact": (),
    "ledger.size": (),
    "ledger.disk_free": (),
    "ledger.commit": (),
    "ledger.away": (),
    "leader": (),
    "standbys": (),
    "loop.lag": (),
    "halted": ("reason",),
    "halted.seconds": ("reason",),
    "condition": ("cause",),
    "suppression.kept_last": (),
    "heartbeat": ("mode",),
}
"""Gauges and the names of their tags."""

PER_CLIENT = frozenset(
    {
        "scope_errors",
        "closed_session_conflicts",
        "api.requests",
        "api.throttled",
        "api.latency",
        "pace",
        "quota.used",
        "quota.limit",
        "quota.own",
        "quota.others",
        "token.requests",
        "token.latency",
        "halts",
        "halted",
        "halted.seconds",
    }
)
"""Metrics with the tag ``client`` after their other tags, where there are several clients."""

METRICS: Mapping[str, tuple[str, ...]] = {**COUNTS, **DISTRIBUTIONS, **GAUGES}
"""Everything that can be sent."""

OUTCOMES: Mapping[Status, tuple[Reason, ...]] = {
    Status.NOTIFIED: (Reason.DELIVERED,),
    Status.OPENED: (Reason.DELIVERED,),
    Status.SKIPPED: (
        Reason.EXPIRED,
        Reason.SAME_PERSON,
        Reason.CAPPED,
        Reason.SUPPRESSED,
        Reason.DROPPED,
        Reason.FORGOTTEN,
    ),
    Status.REJECTED: (
        Reason.CONVERSATION_GONE,
        Reason.CHANNEL,
        Reason.NO_IDENTITY,
        Reason.NO_ADDRESS,
        Reason.REFUSED,
        Reason.UNKNOWN_TIMEZONE,
    ),
    Status.PARKED: (
        Reason.NEVER_ENDED,
        Reason.IDENTITY,
        Reason.RETRY_LOOP,
        Reason.FORBIDDEN_CONTACT,
        Reason.UNKNOWN_STATE,
        Reason.ENGAGED,
        Reason.EXHAUSTED,
        Reason.IN_DOUBT,
    ),
}
"""The reasons of each final status."""

MODES = ("daemon", "once")
"""Values of the tag ``mode``: a run until a signal, or until no contact is left."""

WATCHED_EXITS = tuple(
    str(code.value)
    for code in (
        ExitCode.BUG, ExitCode.USAGE, ExitCode.SOURCE, ExitCode.LEDGER, ExitCode.PLATFORM,
        ExitCode.FAILURES,
    )
)  # fmt: skip
"""Exit codes after which nobody is written to until an operator has done something."""

_WORD = re.compile(r"[a-z][a-z_]{0,31}|[1-5][0-9]{2}|[0-9]{1,2}")
_RUN_HALTS = (HaltReason.PAUSED, HaltReason.FAILURES, HaltReason.SUSPICIOUS)
_OF_THE_RUN = frozenset(product(("halts",), _RUN_HALTS))
_SENDS = tuple(step for step in Step if step.is_send)
_REFUSALS = tuple(product((Step.NOTIFY, Step.OPEN), ("400", "409")))


def zero_counts(clients: Sequence[str] = ()) -> Iterator[Key]:
    """Yield the counts that are sent as 0 at the start, so that monitors have data.

    Of tags with values from outside (an HTTP status), only those are sent that an operator
    watches. ``clients`` are the aliases, where there are several.
    """
    for key in _zeros():
        if clients and key[0] in PER_CLIENT and key not in _OF_THE_RUN:
            yield from ((*key, client) for client in clients)
        else:
            yield key


def halt_gauges(clients: Sequence[str] = ()) -> Iterator[Key]:
    """Yield the gauges of all halts, of each client where there are several, else of the run."""
    for reason in HaltReason:
        if clients and reason not in _RUN_HALTS:
            yield from (("halted", reason, client) for client in clients)
        else:
            yield "halted", reason


def _zeros() -> Iterator[Key]:
    yield from ((name,) for name, tags in COUNTS.items() if not tags)
    for status, reasons in OUTCOMES.items():
        yield from product(("contacts.settled",), (status,), reasons)
    yield from product(("source.irregularities",), Irregularity)
    yield from product(("intake.posts",), ("202", "429", "503"))
    yield from product(("scope_errors",), ScopeSource)
    yield from (("closed_session_conflicts", *refusal) for refusal in _REFUSALS)
    yield from product(("retry_loops",), _SENDS)
    yield from product(("unchecked_sends",), _SENDS, SendAnswer)
    yield from product(("retries",), RetryReason)
    yield from product(("in_doubt",), Resolution)
    yield from product(("api.requests",), Step, ("429",))
    yield from product(("run.started",), MODES)
    yield from product(("run.exits",), (str(ExitCode.DONE.value), *WATCHED_EXITS))
    yield from product(("token.requests",), ("200", "401", "429", "503", *NoAnswerCause))
    yield from product(("halts",), HaltReason)


@lru_cache(maxsize=4096)
def format_tags(key: Key) -> list[str]:
    """Return the tags of a series in the format of DogStatsD.

    A value that is neither a lower-case word nor an HTTP status or exit code becomes ``other``,
    so that no id and no text of a platform is in a tag. One value more than there are names is the
    alias of a client, which the operator chose.
    """
    names, values = METRICS[key[0]], key[1:]
    client = [f"client:{values[-1]}"] if len(values) > len(names) else []
    return [
        f"{name}:{value if _WORD.fullmatch(value) else 'other'}"
        for name, value in zip(names, values[: len(values) - len(client)], strict=True)
    ] + client
