"""Leases in PostgreSQL: one run has a campaign, until it does not renew."""

import time

import pytest

from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.leases import LeaseTenure, register, release, try_take
from dispatcher.ports import Lease, LeaseKind, LeaseLostError
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
A, B = Lease(LeaseKind.CAMPAIGN, "a"), Lease(LeaseKind.CLIENT, "b")


@pytest.fixture
def address(ledger_databases):
    address = ledger_databases.create(lease_seconds=0.3)
    yield address
    ledger_databases.drop(address)


@pytest.fixture
def runs(address):
    connections = [connect(address) for _ in range(2)]
    yield [(it, address, register(it, address, f"run-{n}")) for n, it in enumerate(connections)]
    for connection in connections:
        connection.close()


def test_all_leases_or_none(runs):
    """A run that needs one that another has gets nothing, and learns who has it."""
    one, two = runs
    assert not try_take(*one, [A])
    (held,) = try_take(*two, [B, A])
    assert 0 < held.left <= 0.3
    assert (held.lease, held.daemon) == (A, "run-0")
    assert abs(held.since - time.time()) < 5
    assert not try_take(*one, [A, B])


def test_who_ends_gives_its_leases_back(runs):
    one, two = runs
    try_take(*one, [A, B])
    release(one[0], one[2])
    assert not try_take(*two, [A, B])
    with pytest.raises(LeaseLostError, match="another run has taken over"):
        try_take(*one, [A])


def test_who_does_not_renew_is_replaced(runs):
    """It is fenced before: it takes nothing back."""
    one, two = runs
    try_take(*one, [A])
    assert try_take(*two, [A])
    time.sleep(0.35)
    assert not try_take(*two, [A])
    with pytest.raises(LeaseLostError, match="another run has taken over"):
        try_take(*one, [A])


def test_who_is_committing_is_not_replaced(runs):
    """Its transaction may renew the lease; nobody waits for it."""
    one, two = runs
    connection, _, me = one
    try_take(*one, [A])
    with connection.transaction():
        connection.execute("SELECT dispatcher.begin_group(%s, 1, 0.3)", (me,))
        time.sleep(0.35)
        assert try_take(*two, [A])
    assert not try_take(*two, [A])


def test_a_run_that_is_silent_in_a_transaction_is_replaced_in_time(ledger_databases):
    """Its machine has died, and nothing tells the server: its locks end with its lease."""
    address = ledger_databases.create(lease_seconds=3.0)
    dead, standby = connect(address, of_a_run=True), connect(address)
    one, two = (register(it, address, "run") for it in (dead, standby))
    try_take(dead, address, one, [A])
    dead.execute("BEGIN")
    dead.execute("SELECT dispatcher.begin_group(%s, 1, 3)", (one,))
    died = time.monotonic()
    while try_take(standby, address, two, [A]):
        assert time.monotonic() < died + 5.0
        time.sleep(0.1)
    for connection in (dead, standby):
        connection.close()
    ledger_databases.drop(address)


def test_a_tenure_ends_before_the_lease():
    """A renewal counts from when it was sent."""
    now = [100.0]
    tenure = LeaseTenure(10.0, lambda: now[0])
    assert tenure.remaining_seconds() < 0
    tenure.renewed(tenure.now())
    now[0] += 2
    assert tenure.remaining_seconds() == 7.0
    tenure.renewed(101.0)
    assert tenure.remaining_seconds() == 8.0
    tenure.lost()
    tenure.renewed(tenure.now())
    assert tenure.remaining_seconds() < 0
