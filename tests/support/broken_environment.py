"""The installed command with something wrong around its ledger, and what may then have left."""

import json
import subprocess
from pathlib import Path
from typing import Any

from dispatcher.domain.contact import Contact
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Batch
from dispatcher.sandbox.contact_files import write_contacts
from tests.support import forked_process
from tests.support.forked_process import Forked, clean_environment
from tests.support.scenario_runner import CREDENTIALS, Play

NOBODY = 65534

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
from dispatcher.cli import main
main()
"""
"""The command under a limit for the size of every file that it writes."""

FEW_PAGES = """
from dispatcher.ledgers import schema
schema._SETTINGS += ("PRAGMA max_page_count = {pages}",)
from dispatcher.cli import main
main()
"""
"""The command with a database that may have so many pages."""

UNPRIVILEGED = """
import encodings.utf_8_sig, importlib, os, pkgutil, dispatcher
for each in pkgutil.walk_packages(dispatcher.__path__, "dispatcher."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
if os.geteuid() == 0:
    os.setgid({user})
    os.setuid({user})
from dispatcher.cli import main
main()
"""
"""The command as a user whom permissions hold."""


def run_with(
    played: Play, program: str, *more: str, seconds: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run to the end with ``--once``, by a program that ends in the command."""
    arguments = played.command("--once", *more)[2:]
    return forked_process.run(["-c", program, *arguments], environment(), seconds)


def start_with(played: Play, program: str, *more: str) -> Forked:
    """Start a run by a program that ends in the command."""
    return Forked(["-c", program, *played.command(*more)[2:]], environment())


def environment() -> dict[str, str]:
    """The environment of a run."""
    return {**clean_environment(), **CREDENTIALS}


async def fill(
    path: Path, campaign: str, count: int, *, seed: int = 1, text: str = "Hello"
) -> None:
    """Put contacts of the sandbox's world into a ledger, as a run would have."""
    rows = path.with_name("filled.csv")
    write_contacts(rows, count=count, shares={"active": 1, "ended": 1}, seed=seed)
    ids = [line.split(",")[0] for line in rows.read_text().splitlines()[1:]]
    async with await SqliteLedger.open(path, campaign) as ledger:
        for start in range(0, count, 500):
            batch = [Contact(id_, id_, text) for id_ in ids[start : start + 500]]
            await ledger.admit(Batch(batch), 1.0, 0)


def reached(effects: list[dict[str, Any]]) -> set[str]:
    """Whom a message reached, by the earlier conversation's id; nobody twice."""
    who = [effect["previousConversationId"] or effect["conversationId"] for effect in effects]
    assert len(who) == len(set(who)), json.dumps(sorted(who))
    return set(who)


def assert_no_message_unknown(played: Play, most_in_doubt: int) -> None:
    """Each message that took effect is settled as delivered, or its intent is in the ledger."""
    settled = played.settled()
    got = reached(played.sandbox.effects())
    delivered = {who for who, (status, _) in settled.items() if status in ("notified", "opened")}
    doubtful = {who for who, (status, _) in settled.items() if status in ("sending", "in_doubt")}
    assert delivered <= got
    assert got <= delivered | doubtful, "a message left that the ledger does not know"
    assert len(doubtful) <= most_in_doubt
