"""What happens to a run whose ledger is in a database: cuts at each message, and lost servers.

A fault is no kill: the run is to go on, or to end with the code that says why not.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.crash_launcher import launching
from tests.support.crash_ledgers import LEASE_SECONDS, ServerLedger
from tests.support.lazy_imports import Lazily
from tests.support.pg_messages import Back, Front
from tests.support.pg_proxy import Does, Rule

psutil = Lazily("psutil")

GROUP = "dispatcher.apply"
"""A part of the statement with which a group is committed."""
STEPS: Mapping[str, Front | Back] = {
    "bind": Front.BIND,
    "execute": Front.EXECUTE,
    "sync": Front.SYNC,
    "bound": Back.BOUND,
    "row": Back.ROW,
    "complete": Back.COMPLETE,
    "ready": Back.READY,
}
"""The messages with which a group is sent and answered, in their order."""
LOGIN: Mapping[str, Front | Back] = {
    "startup": Front.STARTUP,
    "password": Front.PASSWORD,
    "welcome": Back.AUTHENTICATION,
}
"""The messages of a new connection."""
SECONDS = 60.0
"""How long a run may take to its end after a fault."""
FIRST_GROUPS = 12
"""A fault comes at one of so many groups of a run."""
OUTAGE_SECONDS = 1.0
GOOD = (0, 10, 11)
LEASE_LOST = 17
"""Exit codes of a run that came to its end, and of one that was replaced."""


@dataclass(frozen=True)
class Fault:
    """``play`` lets it happen to a world's run, and returns False if the run ended before.

    ``goes_on`` says whether the run goes on then; if not, it was ended as it should.
    """

    what: str
    play: Callable[["Any"], bool]
    goes_on: bool = True


def play_fault(lived: Any, name: str) -> bool:
    """Let a fault happen to a run of a world; return whether it did.

    Then the run must come to its end, or is killed at a moment of chance.
    """
    fault = FAULTS[name]
    lived.feed()
    lived.start(point="intend.after" if name == "frozen" else "", freezes=name == "frozen")
    happened = fault.play(lived)
    if fault.goes_on:
        if happened and lived.dice.random() < 0.5:
            lived.kill_soon()
        else:
            lived.must_end(SECONDS, f"{name}: {fault.what}")
    lived.ledger.heal()
    return happened


def _rule(lived: Any, message: Front | Back, does: Does, sql: str = GROUP) -> Rule:
    proxy, nth = _ledger(lived).proxy, 1 + lived.dice.randrange(FIRST_GROUPS)
    return proxy.add(Rule(message, does, sql, nth=nth))


def _fired(lived: Any, rule: Rule) -> bool:
    """Wait until a rule has fired; False if the run ended before."""
    end = time.monotonic() + SECONDS
    while not rule.fired.wait(0.02):
        if lived.has_ended() or time.monotonic() > end:
            return False
    return True


def _at(message: Front | Back, does: Does, lived: Any) -> bool:
    return _fired(lived, _rule(lived, message, does))


def _killed_at(message: Front | Back, lived: Any) -> bool:
    """Kill the run when its message, or the server's, is on its way."""
    happened = _at(message, Does.HALF_OPEN, lived)
    lived.kill_now()
    if lived.dice.random() < 0.5:
        _ledger(lived).proxy.cut()  # or the server does not know of it when the next run comes
    return happened


def _cut_at_login(message: Front | Back, lived: Any) -> bool:
    """Cut the connection in a group, and the next one while it is made."""
    happened = _fired(lived, _rule(lived, Front.SYNC, Does.CUT))
    if not happened:
        return False
    again = _ledger(lived).proxy.add(Rule(message))
    return _fired(lived, again)


def _refused(lived: Any) -> bool:
    proxy = _ledger(lived).proxy
    if not _fired(lived, _rule(lived, Back.READY, Does.CUT)):
        return False
    proxy.refuse()
    proxy.cut()
    time.sleep(OUTAGE_SECONDS)
    proxy.accept()
    return True


def _stalled(seconds: float, lived: Any) -> bool:
    proxy = _ledger(lived).proxy
    if not _fired(lived, _rule(lived, Front.BIND, Does.DELAY)):
        return False
    proxy.stall()
    time.sleep(seconds)
    proxy.flow()
    return True


def _restarted(lived: Any) -> bool:
    """Kill the server with all its processes, and start it again."""
    if not _fired(lived, _rule(lived, Front.BIND, Does.DELAY)):
        return False
    ledger = _ledger(lived)
    ledger.kill_server()
    time.sleep(lived.dice.random() * OUTAGE_SECONDS)
    ledger.restart_server()
    return True


def _failed_over(lived: Any) -> bool:
    """Kill the primary with all its processes, and promote its standby."""
    if not _fired(lived, _rule(lived, Front.BIND, Does.DELAY)):
        return False
    ledger = _ledger(lived)
    assert ledger.pair is not None
    ledger.pair.kill()
    ledger.pair.promote()
    ledger.proxy.fail_over(ledger.pair.primary.port)
    ledger.pair.join()
    return True


def _frozen(lived: Any) -> bool:
    """Stop a run right after an intent, until another one has taken over; then let it go on."""
    pid, end = lived.launcher.pid, time.monotonic() + SECONDS
    process = psutil.Process(pid)
    while process.status() != psutil.STATUS_STOPPED:
        if lived.has_ended() or time.monotonic() > end:
            return False
        time.sleep(0.02)
    time.sleep(LEASE_SECONDS + 0.5)  # the time of the machine, so that the run itself can tell
    try:
        with launching() as other:
            lived.start(launcher=other)
            code = other.ended(SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)
        replaced = lived.launcher.ended(SECONDS)
    assert code in GOOD, lived.with_log(f"the run that took over ended with {code}")
    assert replaced == LEASE_LOST, lived.with_log(f"the replaced run ended with {replaced}")
    return True


def _ledger(lived: Any) -> ServerLedger:
    ledger = lived.ledger
    assert isinstance(ledger, ServerLedger)
    return ledger


FAULTS: dict[str, Fault] = {
    **{
        f"cut.{name}": Fault(f"the connection is cut before {name}", partial(_at, kind, Does.CUT))
        for name, kind in STEPS.items()
    },
    "cut.sync.after": Fault(
        "the group has arrived, and the connection is cut",
        partial(_at, Front.SYNC, Does.CUT_AFTER),
    ),
    **{
        f"killed.{name}": Fault(
            f"the run is killed while {name} is under way", partial(_killed_at, kind), goes_on=False
        )
        for name, kind in STEPS.items()
    },
    **{
        f"half-open.{name}": Fault(
            f"nothing passes any more from {name} on, and nobody says so",
            partial(_at, STEPS[name], Does.HALF_OPEN),
        )
        for name in ("bind", "sync", "ready")
    },
    **{
        f"login.{name}": Fault(
            f"the next connection is cut, too, before {name}", partial(_cut_at_login, kind)
        )
        for name, kind in LOGIN.items()
    },
    "refused": Fault("new connections are refused for a time", _refused),
    "stalled": Fault("nothing passes for a time", partial(_stalled, OUTAGE_SECONDS)),
    "stalled.long": Fault(
        "nothing passes for longer than the lease", partial(_stalled, LEASE_SECONDS + 2.0)
    ),
    "restarted": Fault("the server is killed, and started again", _restarted),
    "failover": Fault("the primary is killed, and its standby promoted", _failed_over),
    "frozen": Fault("the run is stopped until another one has taken over", _frozen, goes_on=False),
}
"""Each fault by its name."""
REPLICATED = frozenset({"failover"})
"""Faults that need a standby."""
