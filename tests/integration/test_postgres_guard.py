"""One send a person at a time, also if two runs intend at once: the guard comes first."""

import threading
import time

import orjson
import pytest

from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.leases import register
from dispatcher.ledgers.postgres.migrations import script
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
PAUSE = "PERFORM pg_advisory_xact_lock_shared(77);"
GUARDED = "SELECT array_agg(contact_id) INTO v_in FROM added;"
"""The end of the guard in apply.sql."""
LOOK = "SELECT * FROM dispatcher.guarded(p_work, v_in)"
CAP = 1


def slow(*, guard_first):
    """Return `apply` under another name: it pauses between the guard and the look at the people."""
    text = script("apply.sql")
    look = text.partition("FUNCTION dispatcher.guarded(")[2].split("$$")[1].replace("p_in", "v_in")
    intents = "--" + text.partition("-- Make all intents")[2]
    for name in ("apply", "intend", "intend_some"):
        intents = intents.replace(f"dispatcher.{name}(", f"dispatcher.{name}_slowly(")
    assert intents.count(GUARDED) == intents.count(LOOK) == 2
    if guard_first:
        return intents.replace(GUARDED, GUARDED + PAUSE)
    seen = "CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT * FROM dispatcher.reached;"
    return intents.replace(
        "BEGIN\n    WITH added", f"BEGIN\n    {seen} {PAUSE}\n    WITH added"
    ).replace(
        LOOK,
        look.replace("FROM dispatcher.reached", "FROM seen AS reached"),
    )


class Run:
    """A run by its statements, with one claimed contact of the same person."""

    def __init__(self, address, name, number):
        self.connection = connect(address, of_a_run=True)
        self.me = register(self.connection, address, name)
        self.id, self.group = number, 0
        execute = self.connection.execute
        execute("INSERT INTO dispatcher.campaign (name, created_at) VALUES (%s, 0)", [name])
        execute(
            "INSERT INTO dispatcher.contact"
            " (id, campaign_id, status, key, conversation_id, person, text_sha256)"
            " SELECT %s, id, 'open', 'key', %s, 'person', '' FROM dispatcher.campaign"
            " WHERE name = %s",
            [number, f"talk-{name}", name],
        )
        execute(
            "INSERT INTO dispatcher.held SELECT id, campaign_id, %s FROM dispatcher.contact"
            " WHERE id = %s",
            [self.me, number],
        )

    def apply(self, name, work):
        self.group += 1
        values = (self.me, self.group, orjson.dumps(work).decode())
        (answer,) = self.connection.execute(
            f"SELECT dispatcher.{name}(%s, %s, 60, 1, %s::jsonb)", values
        ).fetchone()
        return answer and orjson.loads(answer)

    def intend(self, name="apply"):
        """Return True if the send is permitted."""
        intent = ["intend", self.id, "notify", 1.0, "talk", None, None, None, "person", None]
        return self.apply(name, {"intend": [[*intent, False, CAP, 0.0]]}) is None

    def send(self):
        """Return True if a message was sent."""
        if not self.intend():
            return False
        settled = ["settle", self.id, "notified", "delivered", 2.0, "", "", "notified"]
        assert self.apply("apply", {"deliver": [[*settled, *[None] * 7]]}) is None
        return True


@pytest.mark.parametrize(("guard_first", "messages"), [(True, 1), (False, 2)])
def test_of_two_runs_one_writes_to_a_person(ledger_databases, guard_first, messages):
    """With a limit of one message; in the other order, both write."""
    address = ledger_databases.create()
    one, two = Run(address, "one", 1), Run(address, "two", 2)
    control = connect(address)
    control.execute(slow(guard_first=guard_first), prepare=False)
    found = []
    with control.transaction():
        control.execute("SELECT pg_advisory_xact_lock(77)")
        slowly = threading.Thread(target=lambda: found.append(two.intend("apply_slowly")))
        slowly.start()
        _wait_until_paused(control)
        quickly = threading.Thread(target=lambda: found.append(one.send()))
        quickly.start()
        quickly.join(0.5)  # with the guard first it waits for the other
    for thread in (slowly, quickly):
        thread.join(10)
    assert sum(found) == messages
    for connection in (one.connection, two.connection, control):
        connection.close()
    ledger_databases.drop(address)


def _wait_until_paused(control):
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    limit = time.monotonic() + 10
    while control.execute(waiting).fetchone() == (0,):
        assert time.monotonic() < limit
        time.sleep(0.01)
