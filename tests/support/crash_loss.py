"""Commits that a server has lost: an asynchronous standby takes over that is behind.

No ledger can prevent that a message is then unknown to it. The run must stop, and name each contact
of which the new primary lacks something.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.domain.status import Status
from tests.support.crash_launcher import Launcher
from tests.support.crash_ledgers import ServerLedger
from tests.support.crash_verdict import DELIVERED, recipient
from tests.support.crash_world import world

SETTLED_BEFORE, SENT_AFTER = 20, 30
"""Messages before the standby gets no more, and those that it does not know of."""
SECONDS = 60.0
LEDGER_FAILED = 4
EVENT = "ledger.lost_commit"
_KNOWN = (*DELIVERED, Status.SENDING, Status.IN_DOUBT)
"""What a contact is of whose message the ledger knows; the platform is asked about some later."""


@dataclass
class Loss:
    """What a failover has taken: messages that the new primary does not know, and who was named."""

    code: int | None
    effects: int = 0
    unknown: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    @property
    def problems(self) -> list[str]:
        """Say what is wrong."""
        found = []
        if self.code != LEDGER_FAILED:
            found.append(f"the run ended with {self.code}")
        if not self.unknown:
            found.append("nothing was lost")
        if missing := self.unknown - self.named:
            found.append(f"{len(missing)} of {len(self.unknown)} lost messages are not named")
        return found


def lose_commits(folder: Path, launcher: Launcher, seed: int = 1) -> Loss:
    """Let a run's primary be lost while its standby is behind, and compare."""
    given = {"per_cycle": 400, "ledger": "postgres", "replicated": True, "synchronous": False}
    with world(folder, "glob", launcher, seed=seed, **given) as lived:
        ledger = lived.ledger
        assert isinstance(ledger, ServerLedger)
        assert ledger.pair is not None
        lived.feed()
        lived.start()
        _until(lived, SETTLED_BEFORE)
        ledger.pair.hold_back()
        _until(lived, lived.sandbox.counts()["effects"] + SENT_AFTER)
        ledger.pair.kill()
        ledger.pair.promote()
        ledger.proxy.fail_over(ledger.pair.primary.port)
        code = launcher.ended(SECONDS)
        loss = Loss(code, named=_named(lived))
        known = {row.conversation_id for row in ledger.contacts("crash") if row.status in _KNOWN}
        effects = lived.sandbox.effects()
        loss.effects = len(effects)
        loss.unknown = {recipient(effect) for effect in effects} - known
        if code is None:
            lived.end()
    return loss


def _until(lived: Any, effects: int) -> None:
    """Wait until so many messages took effect."""
    end = time.monotonic() + SECONDS
    while lived.sandbox.counts()["effects"] < effects:
        assert not lived.has_ended(), lived.with_log("the run ended too early")
        assert time.monotonic() < end, lived.with_log("the run sends nothing")
        time.sleep(0.005)


def _named(lived: Any) -> set[str]:
    """Return the conversations of the contacts that the log names as lost."""
    log = lived.folder / "dispatcher.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    keys = {line["contact_key"] for line in lines if line["event"] == EVENT}
    rows = lived.ledger.rows("SELECT key, conversation_id FROM dispatcher.contact")
    return {conversation for key, conversation in rows if key in keys}
