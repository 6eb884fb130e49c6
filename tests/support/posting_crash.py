"""Kills a dispatcher whose clients repeat every post, and counts what each contact got.

``python -m tests.support.posting_crash --contacts 3000 --kills 100`` takes some five minutes, and
ends with exit code 1 if a contact got no message or two, or a post that was answered is not known.
"""

import argparse
import csv
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from dispatcher.sandbox.contact_files import write_contacts
from tests.support.posting import PostedRun, Rows
from tests.support.sandbox_process import sandbox

REPEATS = 3
"""How often a client posts the same rows, each time until it has an answer."""
CLIENTS = 4
WITNESSES = 20
WITNESS_SECONDS = 0.3
"""Contacts that may be posted after the others, for longer than the bound of a send in doubt."""

SCENARIO = """
seed = 1
[rate]
allowed = 20000
window_seconds = 1.0
[latency.default]
kind = "fixed"
ms = 4.0
[analytics]
lag_seconds = 0.05
[world.shares]
active = 1
ended = 1
"""
"""A platform without faults, whose records are there at once."""


@dataclass
class Report:
    """What the kills made of the contacts: ``messages`` by the conversation that each one had."""

    ids: Sequence[str]
    kills: int = 0
    unanswered: int = 0
    forgotten: int = 0
    """Repeats whose answer shows that the dispatcher does not know a post that it answered."""
    messages: Counter[str] = field(default_factory=Counter)

    @property
    def twice(self) -> int:
        """Contacts with more than one message."""
        return sum(number > 1 for number in self.messages.values())

    @property
    def lost(self) -> int:
        """Contacts without a message."""
        return len(set(self.ids) - set(self.messages))


def rows_of(count: int) -> list[dict[str, object]]:
    """Return contacts that the platform of the scenario knows."""
    with tempfile.NamedTemporaryFile("r", suffix=".csv", newline="") as file:
        write_contacts(Path(file.name), count=count, shares={"active": 1, "ended": 1})
        return list(csv.DictReader(file))


def play_kills(posted: PostedRun, *, contacts: int, rows_per_post: int, kills: int) -> Report:
    """Post contacts three times each, and kill the dispatcher so often meanwhile.

    Half of the posts have an Idempotency-Key; the others rest on the keys of their contacts.
    """
    known = rows_of(contacts + WITNESSES)
    rows, witnesses = known[:contacts], known[contacts:]
    report = Report([str(row["conversation_id"]) for row in rows])
    posts = [rows[first : first + rows_per_post] for first in range(0, contacts, rows_per_post)]
    delivered = threading.Semaphore(0)

    def deliver(number: int, part: Rows) -> None:
        client, key = posted.client(), f"post-{number}" if number % 2 else ""
        first = client.deliver(part, key)
        expected = first if key else {**first, "admitted": 0, "duplicates": len(part)}
        delivered.release()
        for _ in range(REPEATS - 1):
            report.forgotten += client.deliver(part, key) != expected
            delivered.release()
        report.unanswered += client.unanswered

    process = posted.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        work = [pool.submit(deliver, *numbered) for numbered in enumerate(posts)]
        for step in _steps(len(posts) * REPEATS, kills):
            for _ in range(step):
                delivered.acquire()
            posted.kill()
            report.kills += 1
            process = posted.start()
        for one in work:
            one.result()
    _post_witnesses(posted, contacts, witnesses)
    process.terminate()
    process.communicate(timeout=20)
    posted.finish()
    reached = Counter(
        effect["previousConversationId"] or effect["conversationId"]
        for effect in posted.sandbox.effects()
    )
    report.messages = Counter({id_: reached[id_] for id_ in report.ids if reached[id_]})
    return report


def _post_witnesses(posted: PostedRun, contacts: int, witnesses: Rows) -> None:
    """Post further contacts, until all have their messages or the records show what is missing.

    A send that a kill interrupted is repeated once the platform's records have a later message.
    """
    for number, witness in enumerate(witnesses):
        if posted.sandbox.counts()["effects"] >= contacts + number:
            return
        posted.client().deliver([witness])
        time.sleep(WITNESS_SECONDS)


def _steps(answers: int, kills: int) -> list[int]:
    """Return after how many further answers each kill comes: never behind the last ones."""
    random, each = Random(1), max(1, answers // (kills + 1))
    return [max(1, each - random.randrange(each // 2 + 1)) for _ in range(kills)]


def main() -> None:
    """Play as many kills as the arguments say, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=5, help="of a post")
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scenario.toml").write_text(SCENARIO)
        with sandbox(folder / "scenario.toml", folder / "effects.jsonl") as running:
            report = play_kills(
                PostedRun(folder, running),
                contacts=options.contacts,
                rows_per_post=options.rows,
                kills=options.kills,
            )
    print(  # noqa: T201 - the result of the command
        f"{options.contacts} contacts, each post {REPEATS} times, {report.kills} kills, "
        f"{report.unanswered} attempts without an answer: {report.twice} twice, "
        f"{report.lost} lost, {report.forgotten} answers forgotten "
        f"({time.monotonic() - started:.0f} s)"
    )
    sys.exit(bool(report.twice or report.lost or report.forgotten))


if __name__ == "__main__":
    main()
