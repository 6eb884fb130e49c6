"""What a ledger in PostgreSQL promises when two runs, or a lost answer, are in the way.

Each broken build of `broken_postgres_builds` fails the test that is about what it does wrong.
"""

import threading
import time
from dataclasses import replace

import psycopg
import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ledgers.codec import intent_change, settlement_change
from dispatcher.ledgers.postgres import admission
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.availability import Availability
from dispatcher.ledgers.postgres.leases import LeaseTenure, try_take
from dispatcher.ledgers.postgres.lost_commits import LostCommitsError
from dispatcher.ledgers.postgres.session import Session
from dispatcher.ledgers.postgres.text import dumps_bytes, loads
from dispatcher.ports import Batch, Intent, Lease, LeaseKind, LeaseLostError, Limits, Settlement
from tests.support.broken_postgres_builds import BROKEN, BrokenBuild
from tests.support.pg_messages import Back, Front
from tests.support.pg_proxy import Does, Rule, pg_proxy
from tests.support.postgres_ledger import address_of
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1000.0
ONCE = Limits(cap=1, cap_since=0.0)
"""One message a person, in all campaigns together."""
HEALTHY = BrokenBuild("nothing is broken", {})
CAMPAIGNS = ("one", "two")


class Run:
    """A run of one campaign: its session, and what it is told."""

    def __init__(self, address, build, campaign):
        self.address = address
        self.lost = []
        availability = Availability(address)
        tenure = LeaseTenure(address.lease_seconds)
        self.session = build.session(Session)(
            address, tenure, availability, lambda loss: self.lost.extend(loss.contacts)
        )
        self.session.open(campaign, lambda _: None)
        self.lease = Lease(LeaseKind.CAMPAIGN, campaign)
        with connect(address) as connection:
            (self.campaign,) = connection.execute(
                "SELECT id FROM dispatcher.campaign WHERE name = %s", [campaign]
            ).fetchone()

    def take(self):
        """Take the campaign's lease; return who has it."""
        with connect(self.address) as connection:
            return try_take(connection, self.address, self.session.me, [self.lease])

    def take_up(self):
        """Make ready what an ended run has left."""
        statement = "SELECT dispatcher.take_up(%s, %s, %s)"
        values = (self.session.me, self.campaign, NOW)
        self._job(lambda connection: connection.execute(statement, values))

    def claim(self):
        """Claim one contact."""
        due = admission.ClaimLimit(1, NOW)
        (claim,) = self._job(
            lambda connection: admission.claim(connection, self.session.me, self.campaign, due)
        )
        return claim

    def admit(self, key, person="person"):
        """Admit a contact and claim it."""
        batch = Batch([Contact(key, f"conversation-{key}", "Hello", external_contact_id=person)])
        admitted = self._job(
            lambda connection: admission.admit(
                connection, self.session.me, self.campaign, batch, admission.ClaimLimit(1, NOW)
            )
        )
        return admitted.claims[0]

    def _job(self, run):
        (result,) = self.session.commit([(run, self.lease.name)])
        return result

    def change(self, kind, fields):
        """Commit one change; return why an intent is not permitted."""
        answer = self.session.apply(dumps_bytes({kind: [fields]}), [fields[1]], lambda: None)
        blocked, refused = loads(answer) if answer else (None, None)
        assert not refused, f"{kind} is refused: {refused}"
        return SendBlock(blocked[0][1]) if blocked else None

    def intend(self, claim):
        """Commit an intent; return why it is not permitted, None if the message may be sent."""
        contact = claim.contact
        decision = Notify(contact.conversation_id)
        intent = Intent(claim.id, Step.NOTIFY, decision, NOW, claim.progress)
        person = contact.external_contact_id
        return self.change(
            "intend", intent_change(replace(intent, external_contact_id=person, limits=ONCE))
        )

    def settle(self, claim):
        """Commit that the message was taken."""
        taken = Settlement(
            claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, claim.progress,
            relation=Relation.NOTIFIED, conversation_id=claim.contact.conversation_id,
        )  # fmt: skip
        self.change("deliver", settlement_change(taken))


class Ledger:
    """A database, the proxy before it, and the runs on it."""

    def __init__(self, database, proxy, build):
        self.direct, self.proxy, self._build = database, proxy, build
        name = database.url.rpartition("/")[2]
        self.address = address_of(proxy.port, name, lease_seconds=database.lease_seconds)
        build.install(database.url, PASSWORD)
        self.rows(
            "INSERT INTO dispatcher.campaign (name, created_at) VALUES ('one', 0), ('two', 0)"
        )
        self.runs = []

    def run(self, campaign="one"):
        """Start a run of a campaign."""
        self.runs.append(Run(self.address, self._build, campaign))
        return self.runs[-1]

    def rows(self, statement):
        """Execute a statement past the proxy; return its rows."""
        with psycopg.connect(self.direct.url, password=PASSWORD, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def sending(self):
        """Return the contacts whose messages may be sent now."""
        return [id_ for (id_,) in self.rows("SELECT contact_id FROM dispatcher.unsettled")]


@pytest.fixture
def ledger_of(ledger_databases):
    """Makes ledgers of builds."""
    opened = []

    def made(build):
        database = ledger_databases.create(lease_seconds=20.0)
        proxy = pg_proxy(ledger_databases.server.port)
        opened.append((Ledger(database, proxy.__enter__(), build), proxy, database))
        return opened[-1][0]

    yield made
    for ledger, proxy, database in opened:
        for run in ledger.runs:
            run.session.close()
        proxy.__exit__(None, None, None)
        ledger_databases.drop(database)


def two_runs_and_one_person(ledger):
    """A person is in two campaigns; the second intent is made while the first one is settled.

    A third session keeps the second intent between its statements, as chance would.
    """
    one, two = (ledger.run(campaign) for campaign in CAMPAIGNS)
    first, second = one.admit("a"), two.admit("b")
    answers = []
    with psycopg.connect(ledger.direct.url, password=PASSWORD) as third:
        third.execute(
            "INSERT INTO dispatcher.unsettled (contact_id, campaign_id, daemon_id,"
            " conversation_id, intent_at, intent_step)"
            " VALUES (-1, 0, 0, 'conversation-b', 0, 'notify')"
        )
        thread = threading.Thread(target=lambda: answers.append(two.intend(second)))
        thread.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        while thread.is_alive() and not ledger.rows(f"{waits} AND wait_event_type = 'Lock'"):
            time.sleep(0.01)
        assert one.intend(first) is None
        one.settle(first)
        third.rollback()
        thread.join(10)
    assert answers == [SendBlock.CAPPED], "two messages for one person"


def a_run_that_was_replaced(ledger):
    """Its lease has run out, another one has taken over; it knows nothing of that."""
    one, two = ledger.run(), ledger.run()
    assert not one.take()
    claim = one.admit("a")
    ledger.rows("UPDATE dispatcher.daemon SET lease_until = clock_timestamp()")
    assert not two.take()
    two.take_up()
    assert two.claim().id == claim.id
    with pytest.raises(LeaseLostError, match="another run has taken over"):
        one.intend(claim)
    assert ledger.sending() == []


def an_answer_is_lost(ledger):
    """The intent is committed; it is permitted once, and the message may be sent."""
    run = ledger.run()
    claim = run.admit("a")
    lost = ledger.proxy.add(Rule(Back.READY, Does.CUT, "dispatcher.apply"))
    assert run.intend(claim) is None
    assert lost.fired.is_set()
    assert ledger.sending() == [claim.id]
    run.settle(claim)


def a_block_whose_answer_is_lost(ledger):
    """The answer of a committed group is known again, although it was lost."""
    run = ledger.run()
    claims = [run.admit("a"), run.admit("b")]
    assert run.intend(claims[0]) is None
    ledger.proxy.add(Rule(Back.READY, Does.CUT, "dispatcher.apply"))
    assert run.intend(claims[1]) is SendBlock.BUSY
    assert ledger.sending() == [claims[0].id]


def a_group_is_lost(ledger):
    """The intent has not arrived; it is sent again before its message is."""
    run = ledger.run()
    claim = run.admit("a")
    lost = ledger.proxy.add(Rule(Front.SYNC, Does.CUT, "dispatcher.apply"))
    assert run.intend(claim) is None
    assert lost.fired.is_set()
    assert ledger.sending() == [claim.id]
    run.settle(claim)


def commits_are_lost(ledger):
    """Another server has taken over that is two groups behind; all contacts are named."""
    run = ledger.run()
    claims = [run.admit(key, key) for key in "abc"]
    for claim in claims:
        run.intend(claim)
    ledger.rows("UPDATE dispatcher.daemon SET group_no = group_no - 2")
    ids = f"({claims[1].id}, {claims[2].id})"
    ledger.rows(f"DELETE FROM dispatcher.unsettled WHERE contact_id IN {ids}")
    ledger.proxy.cut()
    with pytest.raises(LostCommitsError, match="has lost 2 commits"):
        run.settle(claims[0])
    assert [(it.campaign, it.key) for it in run.lost] == [("one", "b"), ("one", "c")]
    assert run.session.tenure.remaining_seconds() <= 0


PROMISES = {
    "look-up-before-guard": two_runs_and_one_person,
    "no-fence": a_run_that_was_replaced,
    "resends-committed-groups": an_answer_is_lost,
    "drops-uncommitted-groups": a_group_is_lost,
    "lost-answer-is-a-failure": a_block_whose_answer_is_lost,
    "overlooks-lost-commits": commits_are_lost,
}
"""What is tested, by the broken build that does not keep it."""


FOUND = {
    "look-up-before-guard": (AssertionError, "two messages for one person"),
    "no-fence": (pytest.fail.Exception, "DID NOT RAISE"),
    "resends-committed-groups": (AssertionError, "intend is refused"),
    "drops-uncommitted-groups": (AssertionError, r"assert \[\] == \["),
    "lost-answer-is-a-failure": (psycopg.OperationalError, "closed the connection"),
    "overlooks-lost-commits": (pytest.fail.Exception, "DID NOT RAISE"),
}
"""How the test of each fails."""


@pytest.mark.parametrize("promise", PROMISES.values())
def test_a_promise_is_kept(ledger_of, promise):
    """By the build as it is."""
    promise(ledger_of(HEALTHY))


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_build_is_found(ledger_of, broken):
    """By the test of the promise that it breaks."""
    kind, words = FOUND[broken]
    with pytest.raises(kind, match=words):
        PROMISES[broken](ledger_of(BROKEN[broken]))


def test_every_broken_build_has_a_promise():
    """And every promise a build that breaks it."""
    assert PROMISES.keys() == BROKEN.keys()
