"""The points at which a run can be killed, each reached from outside of the product.

Nothing in the product knows of them: its functions are wrapped, and a wrapper that is passed for
the n-th time ends the process with SIGKILL.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

POINTS = {
    "recover.before": "the start's look at what a dead run left is not committed",
    "recover.after": "it is committed, and the run has done nothing else",
    "start.recovered": "the ledger is recovered, the platform was not asked for a token yet",
    "streams.after": "the streams are read, the source is not opened",
    "admit.before": "a batch is written and not committed",
    "admit.after": "a batch is committed, and the engine does not know it",
    "source.batch": "a batch has left the source's thread; the next one is not read",
    "claim.before": "contacts are claimed and not committed",
    "claim.after": "the claim is committed, and no worker has it",
    "check.before": "the state check is permitted and has not left",
    "check.after": "the state is known, nothing is decided",
    "intend.before": "the intent is made and not committed",
    "group.middle": "in the middle of a group of changes",
    "group.uncommitted": "a whole group is carried out and not committed",
    "intend.after": "the intent is committed, and the worker does not know it",
    "send.before": "the worker knows that the intent is committed; the request has not left",
    "send.left": "the request has left, the answer is not read",
    "send.after": "the answer is read, nothing is settled",
    "settle.before": "the settle is made and not committed",
    "settle.after": "the settle is committed, and its caller has no result",
    "defer.before": "a contact is to be put back, and that is not committed",
    "defer.after": "a contact is back in the ledger, and its caller has no result",
    "retract.before": "an intent is to be taken back, and that is not committed",
    "retract.after": "an intent is taken back, and the worker does not know it",
    "token.before": "a token is about to be asked for, in mid run",
    "token.after": "a token was issued, and nobody has it",
    "drain.begun": "the drain has begun",
    "drain.released": "the drain has given back what lay ready",
    "drain.settled": "the first contact is settled in the drain",
    "checkpoint.before": "the write-ahead log is about to be carried over into the ledger's file",
    "checkpoint.middle": "it is being carried over",
    "checkpoint.after": "it was carried over",
    "move.before": "rows are moved to their places, and that is not committed",
    "move.after": "rows are at their places, and the writer does not know it",
    "folder.seen": "a file under its temporary name was seen in the watched folder",
    "folder.arrived": "a complete file was seen, and not opened",
    "folder.opened": "a file of the folder was opened, and nothing of it read",
    "folder.read": "a file was read to its end, and the folder does not know it",
    "rotation.before": "in mid file, right before it is renamed",
    "rotation.after": "in mid file, right after it was renamed under the reader",
    "topic.assigned": "the places of a topic's partitions are taken up, and nothing is fetched",
    "topic.fetched": "messages of a topic were fetched, and none of them is a row",
    "page.read": "a page of rows was read from a database, and none of them is in a batch",
}
"""Every point by its name, and what is true when it is reached."""

FILE_LEDGER = frozenset(
    {"group.uncommitted", *(n for n in POINTS if n.startswith(("checkpoint.", "move.")))}
)
"""Points that only a ledger in a file has."""
POSTGRES = {
    "group.unsent": "a group is made, and has not left to the server",
    "group.answered": "the group is committed and answered, and nobody in the run knows it",
    "lease.before": "the leases are about to be taken",
    "lease.after": "the leases are taken, nothing else is done",
    "heartbeat.before": "a lease is about to be renewed, by itself",
    "heartbeat.after": "a lease was renewed, by itself",
}
"""Points that only a ledger in PostgreSQL has. See crash_faults.py for what happens on the way."""
POINTS |= POSTGRES

LOOKING = {
    "look.before": "the platform is about to be asked what became of sends in doubt",
    "look.after": "its records are read, and nothing is concluded",
}
POINTS |= LOOKING

START = frozenset(
    {
        "recover.before",
        "recover.after",
        "start.recovered",
        "streams.after",
        "lease.before",
        "lease.after",
    }
)
"""Points that each run passes once, before its first contact."""
INTAKE = frozenset({"admit.before", "admit.after", "source.batch"})
DRAIN = frozenset(name for name in POINTS if name.startswith("drain."))
FOLDER = frozenset(name for name in POINTS if name.startswith("folder."))
ROTATION = frozenset(name for name in POINTS if name.startswith("rotation."))
KAFKA = frozenset(name for name in POINTS if name.startswith("topic."))
SQL = frozenset({"page.read"})
CHECKPOINT = frozenset(name for name in POINTS if name.startswith("checkpoint."))


class Killer:
    """Ends the process at one point: the ``nth`` time it is reached once enough is settled.

    ``at_death`` is called right before, while no commit runs. If it ``freezes``, the process stops
    there instead, once, and may go on. Before one request the event loop stops for
    ``stopped_seconds``. ``draining`` is true once a drain has begun.
    """

    def __init__(
        self, point: str, nth: int = 1, settles: int = 0, stopped_seconds: float = 0.0, *,
        freezes: bool = False,
    ) -> None:  # fmt: skip
        if point and point not in POINTS:
            raise SystemExit(f"no such point: {point}; there are {', '.join(POINTS)}")
        self.point = point
        self.commits = threading.RLock()
        self.at_death: Callable[[], None] = lambda: None
        self.draining = False
        self._nth = nth
        self._settles = settles
        self._stopped_seconds = stopped_seconds
        self._freezes = freezes
        self._seen = 0

    def settled(self, number: int) -> None:
        """Count what was settled."""
        self._settles -= number

    @property
    def armed(self) -> bool:
        """Whether enough was settled."""
        return self._settles <= 0

    def stop(self) -> None:
        """Let the event loop do nothing for a time, once, as on a machine without time for it."""
        if self.armed and self._stopped_seconds:
            seconds, self._stopped_seconds = self._stopped_seconds, 0.0
            time.sleep(seconds)

    def reached(self, *names: str) -> None:
        """Die, if the point is one of ``names`` and its time has come."""
        if self.point not in names or not self.armed:
            return
        self._seen += 1
        if self._freezes and self._seen == self._nth:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._seen >= self._nth and not self._freezes:
            self.die()

    def die(self) -> None:
        """End as a power cut or the kernel ends a process: without a word."""
        with self.commits:
            self.at_death()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def after(owner: Any, name: str, killer: Killer, point: str) -> None:
    """Reach a point each time that a coroutine function has returned."""
    real = getattr(owner, name)

    @wraps(real)
    async def wrapped(*args: Any, **named: Any) -> Any:
        answer = await real(*args, **named)
        killer.reached(point)
        return answer

    setattr(owner, name, wrapped)
