"""The configurations for Snowflake in config/examples, with the installed command and a server."""

from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.support import round_trip
from tests.support.forked_process import clean_environment, run
from tests.support.ledgers import place_setting
from tests.support.servers.shared import on
from tests.support.servers.snowflake import PASSPHRASE

pytestmark = on("snowflake_server")
CONTACTS = 24


@pytest.fixture
def trip(tmp_path, snowflake_server):
    """The carts in Snowflake, and the sandbox that has their conversations."""
    with ExitStack() as stack:
        yield round_trip.start(tmp_path, CONTACTS, snowflake_server, stack)


def test_from_the_warehouse_and_back(trip):
    """Each message is a row there, and the query follows each customer over both campaigns."""
    checked = trip.run("cart-reminder", verb=("check", "--online"))
    assert "20 rows with the columns ID, CUSTOMER_ID, CONVERSATION_ID" in checked.stdout
    assert "sink warehouse: 0 rows in" in checked.stdout
    first = trip.run("cart-reminder")
    assert first.returncode == 0, first.stderr
    trip.database.execute(round_trip.ORDERED)
    second = trip.run("cart-offer", "--set", f"source.snowflake.query={round_trip.SECOND}")
    assert second.returncode == 0, second.stderr
    rows, effects = trip.follow(), trip.played.sandbox.effects()
    assert sorted(row["now"] for row in rows) == sorted(one["conversationId"] for one in effects)
    stories = {}
    for row in rows:
        stories.setdefault(row["customer_id"], []).append(row)
    carts = dict(trip.database.execute("SELECT customer_id, conversation_id FROM carts"))
    assert {len(story) for story in stories.values()} == {1, 2}
    for customer, story in stories.items():
        assert story[0]["previous"] == carts[customer]
        assert [row["step"] for row in story] == list(range(1, len(story) + 1))
        assert all(after["previous"] == row["now"] for row, after in pairwise(story))
        assert {row["status"] for row in story} == {"abandoned" if len(story) == 2 else "ordered"}
    assert not [text for text in trip.outputs if PASSPHRASE in text or "PRIVATE KEY" in text]
    again = trip.run("cart-reminder")
    assert again.returncode == 0, again.stderr
    assert trip.follow() == rows


def test_what_a_person_must_mend(trip):
    """It ends the run with exit code 3, and the line says what to do; no secret is shown."""
    for change, words in (
        ("source.snowflake.query=SELECT id, conversation_id FROM nothing", "does not exist"),
        ("source.snowflake.key=number", "no column number, which is its key"),
    ):
        ended = trip.run("cart-reminder", "--set", change)
        assert (ended.returncode, words in ended.stderr) == (3, True), ended.stderr
    environment = {**clean_environment(), **trip.played.environment, "SNOWFLAKE_PASSPHRASE": "no"}
    config = str(trip.played.folder / "round-trip.toml")
    line = ["-m", "dispatcher", "run", "--once", "--config", config]
    line += ["--set", f"platform.base_url={trip.played.sandbox.url}"]
    ((key, value),) = place_setting(trip.played.ledger).items()
    line += ["--set", f"{key}={value}"]
    wrong = run(line, environment, 60)
    assert (wrong.returncode, "its passphrase is wrong" in wrong.stderr) == (3, True), wrong.stderr
