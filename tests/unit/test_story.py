"""The story of a contact: what the engine writes into it, and how the ledger bounds it."""

import sqlite3
from contextlib import closing

import orjson
import pytest

from dispatcher.domain import contact_history
from dispatcher.domain.answer import Answer, NoAnswer, NoAnswerCause
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.failure import AnswerKind
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, RetryReason, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ports import Batch, Settlement
from dispatcher.ports.questions import HistoryOf
from tests.support.engine import EngineFixture
from tests.support.ledger_commands import replay
from tests.support.scripted import in_turn
from tests.support.virtual import in_virtual_time

SECRETS = ("Dear Ada, your cart", "ada@example.com", "Your cart, Ada")


def words(entries):
    return [entry[1] for entry in entries]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


async def parked_ledger(path, *stories):
    """A ledger with one contact that was deferred once for each story but the last."""
    ledger = await SqliteLedger.open(path, "c")
    (claim,) = (await ledger.admit(Batch([Contact("k", "conv", "Hi")]), 1.0, 1)).claims
    *deferred, last = stories
    for entries in deferred:
        await ledger.defer(claim.id, 0.0, NEW, entries)
        await ledger.claim(1, 1.0)
    await ledger.settle(
        Settlement(claim.id, Status.PARKED, Reason.EXHAUSTED, 2.0, NEW, history=last)
    )
    return ledger


def kept(path):
    with closing(sqlite3.connect(path)) as connection:
        return orjson.loads(f"[{connection.execute('SELECT story FROM contact').fetchone()[0]}]")


async def test_parts_are_appended_in_their_order(path):
    """The entries of all deferrals and of the settlement are in the ledger, oldest first."""
    parts = [[[1000, "claimed"]], [], [[2000, "claimed"], [2001, "settled", "parked", "x"]]]
    async with await parked_ledger(path, *parts):
        assert kept(path) == [*parts[0], *parts[2]]


async def test_a_long_story_keeps_its_beginning_and_its_end_and_counts_the_rest(path):
    """However often a contact comes round, its story is bounded, and says what it lacks."""
    many = [
        [[number, "check", 500, "passing", None, "c" * 64], [number, "deferred", "x", 1.0]]
        for number in range(200)
    ]
    async with await parked_ledger(path, *many):
        found = kept(path)
    assert len(orjson.dumps(found)) < 10_500
    assert found[:10] == [entry for pair in many[:5] for entry in pair]
    assert found[-40:] == [entry for pair in many[-20:] for entry in pair]
    assert found[10][:2] == [None, "omitted"]
    assert found[10][2] + len(found) - 1 == 400


def test_a_contact_that_is_held_for_long_does_not_fill_the_memory():
    """The worker's own list is bounded, too, and nothing is lost from the count."""
    entries = [[0, "claimed"]]
    for number in range(5000):
        entries.append([number, "check"])
        contact_history.shorten(entries)
    assert len(entries) <= 100
    (gap,) = (entry for entry in entries if entry[1] == "omitted")
    assert gap[2] + len(entries) - 1 == 5001


def test_a_correlation_id_of_any_length_is_cut():
    """A platform cannot make the ledger grow."""
    entry = contact_history.request_entry(
        1.0, Step.CHECK, Answer(500, correlation_id="x" * 9999), AnswerKind.PASSING
    )
    assert len(entry[5]) == contact_history.CORRELATION_LIMIT


def test_a_request_without_an_answer_names_the_loss():
    """Time in milliseconds, step, loss, meaning."""
    lost = NoAnswer(NoAnswerCause.TIMEOUT, "10 s were over, ada@example.com")
    entry = contact_history.request_entry(1.5, Step.NOTIFY, lost, AnswerKind.IN_DOUBT)
    assert entry == [1500, Step.NOTIFY, NoAnswerCause.TIMEOUT, AnswerKind.IN_DOUBT]


@in_virtual_time
async def test_the_engine_tells_every_step():
    """Claim, check with its decision, refusal, second check, wait: each has its entry."""
    opened = Conversation("conversation-1", State.OPEN)
    engine = EngineFixture(
        in_turn(
            (Step.CHECK, Answer(200, conversation=opened, correlation_id="c1")),
            (Step.NOTIFY, Answer(409, from_platform=True, correlation_id="c2")),
            (Step.CHECK, Answer(500, correlation_id="c3")),
        )
    )
    entries = (await engine.deliver()).story
    assert words(entries) == ["claimed", "check", "notify", "check", "deferred"]
    assert entries[1][2:] == [200, "accepted", "open", "c1", "notify"]
    assert entries[2][2:] == [409, "conflict", None, "c2"]
    assert entries[3][2:] == [500, "passing", None, "c3"]
    assert entries[4][2] == RetryReason.SERVER_ERROR


@in_virtual_time
async def test_no_text_and_no_address_gets_into_a_story():
    """Whatever the platform answers, the story has codes and ids alone."""
    text, address, subject = SECRETS
    given = Contact("key-1", "conversation-1", text, address=address, subject=subject)
    said = " ".join(SECRETS)
    engine = EngineFixture(lambda _: Answer(422, words=said, address=address, correlation_id="c"))
    shown = orjson.dumps((await engine.until_final(given)).story).decode()
    assert "422" in shown
    assert not [secret for secret in SECRETS if secret in shown]


async def test_restart_replay_and_drop_have_their_entries(path):
    """What others than a worker did to a contact is in its story with what it was before."""
    async with await parked_ledger(path, [[1, "claimed"]]) as ledger:
        await replay(ledger, [1])
        await ledger.claim(1, 9e9)
        await ledger.recover()
    (found,) = SqliteOperatorStore(path).look(HistoryOf("k", "c"))
    assert [entry["what"] for entry in found["story"]] == ["claimed", "replayed", "restart"]
    assert found["story"][1]["answer"] == "parked"
    assert found["story"][1]["means"] == "exhausted"
    assert found["story"][2]["state"] == "claimed"
