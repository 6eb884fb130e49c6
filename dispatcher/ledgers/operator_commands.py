"""What a person does by hand: orders, each carried out in one transaction.

A running dispatcher carries them out in its writer's thread; where none runs, `offline` does.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import orjson

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.status import Reason
from dispatcher.ledgers import campaigns as pausing
from dispatcher.ledgers.statements import SQL
from dispatcher.ledgers.write import claims

CommandAnswer = dict[str, object]
"""What came of an order, as plain values."""


class CommandError(DispatcherError, ValueError):
    """An order that cannot be understood, or names what is not in the ledger."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Selection:
    """Which parked contacts are meant.

    ``campaign`` and ``reason`` None: all of them. ``before`` is in seconds since the epoch: those
    parked later are not meant. ``names`` are contact keys, conversation ids or external contact
    ids; none: all. ``limit`` takes the first ones in the order of their admission.
    """

    before: float
    campaign: str | None = None
    reason: Reason | None = None
    names: tuple[str, ...] = ()
    limit: int | None = None

    @classmethod
    def from_dict(cls, order: Mapping[str, Any]) -> Self:
        """Read a selection from the plain values of an order.

        Raises:
            OrderError: a value is missing, of the wrong kind, or not known.

        """
        unknown = set(order) - set(cls.__slots__)
        if unknown:
            raise CommandError(f"not known: {', '.join(sorted(unknown))}")
        before, limit = order.get("before"), order.get("limit")
        if not isinstance(before, int | float):
            raise CommandError("before: needs a time in seconds since the epoch")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise CommandError("limit: needs a number from 1 on")
        names, campaign = order.get("names", ()), order.get("campaign")
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise CommandError("names: needs a list of texts")
        if campaign is not None and not isinstance(campaign, str):
            raise CommandError("campaign: needs a text")
        return cls(float(before), campaign, _reason(order.get("reason")), tuple(names), limit)

    def to_dict(self) -> dict[str, Any]:
        """Return the selection as the plain values of an order."""
        return asdict(self)


def _reason(given: object) -> Reason | None:
    if given is None:
        return None
    try:
        return Reason(str(given))
    except ValueError:
        raise CommandError(f"reason: {given} is none; there are: {', '.join(Reason)}") from None


def parked(
    connection: sqlite3.Connection, selection: Selection
) -> Iterator[tuple[int, str, list[Any]]]:
    """Yield the campaign's number and name and the row of each parked contact that is meant."""
    left = -1 if selection.limit is None else selection.limit
    names = orjson.dumps(selection.names).decode() if selection.names else None
    for id_, name in campaigns(connection, selection.campaign):
        given = {
            "campaign": id_, "reason": selection.reason, "before": selection.before,
            "names": names, "limit": left,
        }  # fmt: skip
        for row in connection.execute(SQL["parked"], given):
            left -= left > 0
            yield id_, name, list(row)
        if not left:
            return


def campaigns(connection: sqlite3.Connection, wanted: str | None) -> list[tuple[int, str]]:
    """Return number and name of one campaign, or of all.

    Raises:
        OrderError: it is not in the ledger.

    """
    (stored,) = connection.execute(SQL["campaign_names"]).fetchone()
    known = orjson.loads(stored)
    if wanted is not None and wanted not in known:
        raise CommandError(
            f"campaign {wanted!r} is not in the ledger; it holds: {', '.join(known) or 'none'}"
        )
    return [
        (int(connection.execute(SQL["campaign_id"], (name,)).fetchone()[0]), name)
        for name in ([wanted] if wanted is not None else known)
    ]


def _ids(connection: sqlite3.Connection, order: Mapping[str, Any]) -> dict[int, list[int]]:
    """Return the ids of the parked contacts that an order means, by campaign."""
    found: dict[int, list[int]] = {}
    for campaign, _, row in list(parked(connection, Selection.from_dict(order))):
        found.setdefault(campaign, []).append(row[0])
    return found


def replay(connection: sqlite3.Connection, order: Mapping[str, Any], now: float) -> CommandAnswer:
    """Put parked contacts back: ready, or in doubt where they were parked so."""
    done = [
        claims.replay(connection, campaign, ids, now)
        for campaign, ids in _ids(connection, order).items()
    ]
    return {
        "ready": sum(each.ready for each in done),
        "in_doubt": sum(each.in_doubt for each in done),
    }


def drop(connection: sqlite3.Connection, order: Mapping[str, Any], now: float) -> CommandAnswer:
    """Make parked contacts final as skipped, ``dropped``; their messages are removed."""
    dropped = 0
    for campaign, ids in _ids(connection, order).items():
        given = {"now": now, "ids": orjson.dumps(ids).decode(), "campaign": campaign}
        dropped += connection.execute(SQL["drop"], given).rowcount
    return {"dropped": dropped}


def pause(connection: sqlite3.Connection, order: Mapping[str, Any], now: float) -> CommandAnswer:
    """Pause the campaign that the order names, or all."""
    found = campaigns(connection, order.get("campaign"))
    return {"paused": {name: pausing.pause(connection, id_, now) for id_, name in found}}


def resume(connection: sqlite3.Connection, order: Mapping[str, Any], _now: float) -> CommandAnswer:
    """Let the campaign that the order names go on, or all that are paused."""
    found = campaigns(connection, order.get("campaign"))
    told = {name: pausing.resume(connection, id_) for id_, name in found}
    return {"resumed": {name: since for name, since in told.items() if since is not None}}


COMMANDS: Mapping[str, Callable[[sqlite3.Connection, Mapping[str, Any], float], CommandAnswer]] = {
    "replay": replay,
    "drop": drop,
    "pause": pause,
    "resume": resume,
}
"""All orders by name; each takes the time in seconds since the epoch."""
