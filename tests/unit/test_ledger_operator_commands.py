"""Orders of a person: which contacts they mean, and what becomes of them."""

import sqlite3
from contextlib import closing

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.exclusive import exclusive_connection, transaction
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.orders import carry_out
from dispatcher.ports import Batch, CommandError, LedgerError, LedgerLockedError, Settlement
from dispatcher.ports.orders import (
    ApproveOrder,
    DropOrder,
    PauseOrder,
    ReplayOrder,
    ResumeOrder,
    Selection,
)
from dispatcher.ports.questions import HistoryOf, ParkedContacts

ORDERS = {
    each.name: each for each in (ReplayOrder, DropOrder, PauseOrder, ResumeOrder, ApproveOrder)
}
REASONS = [Reason.EXHAUSTED, Reason.EXHAUSTED, Reason.IN_DOUBT, Reason.IDENTITY]


@pytest.fixture
async def path(tmp_path):
    """Two campaigns, each with a contact parked for each of the reasons, at 10, 20, 30, 40."""
    path = tmp_path / "ledger.db"
    for campaign in ("a", "b"):
        async with await SqliteLedger.open(path, campaign) as ledger:
            contacts = [
                Contact(
                    f"{campaign}{n}", f"conversation-{n}", "Hi Ada", f"external-{n}", "ada@home"
                )
                for n in range(len(REASONS))
            ]
            claims = (await ledger.admit(Batch(contacts), 1.0, 9)).claims
            for claim, reason, at in zip(claims, REASONS, (10, 20, 30, 40), strict=True):
                await ledger.settle(Settlement(claim.id, Status.PARKED, reason, at, NEW))
    return path


def order(path, name, **values):
    if name in ("replay", "drop"):
        values = {"before": 99.0, **values}
    with exclusive_connection(path) as connection, transaction(connection):
        return carry_out(connection, ORDERS[name].from_arguments(values), 100.0)


def columns(path, what, key):
    with closing(sqlite3.connect(path)) as connection:
        sql = f"SELECT {what} FROM contact WHERE key = ?"
        return connection.execute(sql, (key,)).fetchone()


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({}, ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]),
        ({"campaign": "b"}, ["b0", "b1", "b2", "b3"]),
        ({"reason": Reason.EXHAUSTED}, ["a0", "a1", "b0", "b1"]),
        ({"before": 20.0}, ["a0", "a1", "b0", "b1"]),
        ({"limit": 5}, ["a0", "a1", "a2", "a3", "b0"]),
        ({"names": ("a1", "conversation-2", "external-3")}, ["a1", "a2", "a3", "b2", "b3"]),
        ({"names": ("nobody",)}, []),
    ],
)
def test_a_selection_means_what_all_its_parts_name(path, values, keys):
    """Campaign, reason, age, names and number narrow it down together."""
    found = SqliteOperatorStore(path).look(ParkedContacts(Selection(**{"before": 99.0, **values})))
    assert [contact["key"] for contact in found] == keys


def test_replay_makes_ready_but_never_one_in_doubt(path):
    """Contacts parked in doubt are in doubt again: the platform is asked before a send."""
    assert order(path, "replay", campaign="a") == {"ready": 3, "in_doubt": 1}
    assert columns(path, "status, due, text", "a0") == ("ready", 100.0, "Hi Ada")
    assert columns(path, "status", "a2") == ("in_doubt",)
    assert columns(path, "status", "b0") == ("parked",)
    assert order(path, "replay", campaign="a") == {"ready": 0, "in_doubt": 0}


def test_drop_settles_and_removes_what_names_a_person(path):
    """A dropped contact is skipped, counted so, and its message is gone."""
    assert order(path, "drop", reason="exhausted") == {"dropped": 4}
    assert columns(path, "status, reason, settled_at, text, address", "b1") == (
        "skipped", "dropped", 100.0, None, None,
    )  # fmt: skip
    with closing(sqlite3.connect(path)) as connection:
        sums = connection.execute(
            "SELECT status, reason, SUM(contacts) FROM settled_sum GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    assert sums == [
        ("parked", "exhausted", 0), ("parked", "identity", 2), ("parked", "in_doubt", 2),
        ("skipped", "dropped", 4),
    ]  # fmt: skip
    (found,) = SqliteOperatorStore(path).look(HistoryOf("b1"))
    assert found["story"][-1]["what"] == "dropped"
    assert found["story"][-1]["means"] == "exhausted"


def test_pause_is_kept_until_resume(path):
    """A second pause keeps the first one's time; resume returns it."""
    assert order(path, "pause", campaign="a") == {"paused": {"a": 100.0}}
    assert order(path, "pause") == {"paused": {"a": 100.0, "b": 100.0}}
    assert order(path, "resume", campaign="a") == {"resumed": {"a": 100.0}}
    assert order(path, "resume") == {"resumed": {"b": 100.0}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"reason": "nonsense"}, "exhausted"),
        ({"limit": 0}, "limit"),
        ({"names": "a1"}, "names"),
        ({"before": "now"}, "before"),
        ({"campaign": "c"}, "it holds: a, b"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_order_that_is_wrong_changes_nothing(path, values, words):
    """The message names what is wrong, and what there is."""
    with pytest.raises(CommandError, match=words):
        order(path, "drop", **values)
    assert columns(path, "status", "a0") == ("parked",)


async def test_a_ledger_in_use_tells_who_has_it_and_where_to_ask(path):
    """The lock's holder is named with its socket; without one there is none to name."""
    async with await SqliteLedger.open(path, "a") as ledger:
        with pytest.raises(LedgerLockedError) as held, exclusive_connection(path):
            pass
        assert held.value.socket == ""
        ledger.record_socket("/somewhere/ledger.sock")
        with pytest.raises(LedgerLockedError) as held, exclusive_connection(path):
            pass
        assert held.value.socket == "/somewhere/ledger.sock"


def test_a_ledger_that_is_not_there_is_not_made(tmp_path):
    """A mistyped path is an error, and leaves no file behind."""
    with (
        pytest.raises(LedgerError, match="no such file"),
        exclusive_connection(tmp_path / "typo.db"),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a1", "conversation-1", "external-1"])
def test_a_contact_is_found_by_key_and_by_both_ids(path, name):
    """The story's facts never hold the message or the address."""
    found = SqliteOperatorStore(path).look(HistoryOf(name, "a"))
    assert [contact["key"] for contact in found] == ["a1"]
    assert "ada" not in repr(found).lower()


def test_a_contact_that_is_not_there(path):
    """It is said what was looked for, and where."""
    with pytest.raises(CommandError, match=r"campaign 'a'.*'nobody'"):
        SqliteOperatorStore(path).look(HistoryOf("nobody", "a"))


async def test_rejected_contacts_are_replayed_as_if_they_were_new(tmp_path):
    """Their messages are kept for it; those that an older version removed are left alone."""
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path, "a") as ledger:
        claims = (
            await ledger.admit(Batch([Contact(f"k{n}", f"c{n}", "Hi") for n in range(3)]), 1.0, 9)
        ).claims
        for claim in claims:
            await ledger.settle(Settlement(claim.id, Status.REJECTED, Reason.REFUSED, 10.0, NEW))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE contact SET text = NULL WHERE key = 'k2'")
    selection = {"campaign": "a", "status": "rejected", "reason": "refused"}
    assert order(path, "replay", campaign="a") == {"ready": 0, "in_doubt": 0}
    assert order(path, "replay", **selection) == {"ready": 2, "in_doubt": 0}
    assert columns(path, "status, reason, text, due", "k0") == ("ready", None, "Hi", 100.0)
    assert columns(path, "status, text", "k2") == ("rejected", None)


def test_only_replayable_contacts_can_be_selected(path):
    with pytest.raises(CommandError, match="status: needs one of parked, rejected"):
        order(path, "replay", status="opened")


def test_a_suspicion_is_approved_by_a_running_dispatcher_alone(path):
    with pytest.raises(CommandError, match="--accept-suspicious"):
        order(path, "approve")
