"""Every command with a ledger in PostgreSQL, as people type them."""

import asyncio
import json

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.ports import Batch, Settlement
from tests.support import forked_process
from tests.support.forked_process import Forked, clean_environment
from tests.support.ledgers import new_database, open_store
from tests.support.scenario_runner import play
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.shared import on

pytestmark = on("ledger on a server")
OLD = "0123456789abcdef-1-1"
"""A cursor of another ledger."""
WORLD = """
[rate]
allowed = 4000
window_seconds = 2.0
[world.shares]
active = 1
ended = 1
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A campaign that was sent, with its configuration; the last contacts are parked."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "world.toml").write_text(WORLD)
    with play(folder, folder / "world.toml", 40) as made:
        made.url = new_database()
        (folder / "password").write_text(PASSWORD)
        made.config = folder / "dispatcher.toml"
        made.config.write_text(
            f'campaign = "play"\n[ledger]\nurl = "{made.url}"\nlease_seconds = 3\n'
            f'password_file = "{folder / "password"}"\nstate_file = "{folder / "state.json"}"\n'
            f'[source]\npath = "{made.contacts}"\n[message]\ntext = "Hello"\n'
            f'[platform]\nbase_url = "{made.sandbox.url}"\nrequests_per_minute = 60000\n'
        )
        yield made


def run(played, *arguments, code=0, typed=""):
    """Run a command with the configuration, and without a password in the environment."""
    environment = clean_environment() | played.environment
    environment.pop("PGPASSWORD", None)
    line = ["-m", "dispatcher", *map(str, arguments), "--config", str(played.config)]
    done = forked_process.run(line, environment, 60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def status(played):
    (campaign,) = json.loads(run(played, "status", "--json"))["campaigns"]
    return campaign


def test_01_check(played):
    """An empty database is found, and the first run will make the ledger."""
    assert "The configuration of campaign play is fine." in run(played, "check")
    said = run(played, "check", "--online")
    assert "ok    ledger: PostgreSQL 1" in said
    assert "there is no ledger yet: the first run makes it" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("password_file = ", "ledger.password_file is set together with ledger.password_variable"),
        ("/db_", "FAIL  ledger: create it, or correct ledger.url"),
        ("dispatcher@", "FAIL  ledger: the server refuses the login"),
        ("lease_seconds = 3", "ledger.lease_seconds must be at least 3"),
    ],
)
def test_02_check_says_what_is_wrong(played, change, words, tmp_path):
    new = {
        "password_file = ": 'password_variable = "X"\npassword_file = ',
        "/db_": "/none_",
        "dispatcher@": "nobody@",
        "lease_seconds = 3": "lease_seconds = 1",
    }
    text = played.config.read_text()
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(change, new[change], 1))
    environment = clean_environment() | played.environment
    environment.pop("PGPASSWORD", None)
    line = ["-m", "dispatcher", "check", "--online", "--config", str(wrong)]
    done = forked_process.run(line, environment, 60)
    assert done.returncode in (2, 5), done.stderr
    assert words in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_03_plan_and_preview_make_nothing(played):
    assert "40" in run(played, "plan")
    run(played, "preview")
    assert not played.url.exists()


def test_04_migrate(played):
    assert "was brought from schema 0 to" in run(played, "ledger", "migrate")
    assert "nothing was changed" in run(played, "ledger", "migrate")
    assert "the first run makes it" not in run(played, "check", "--online")


def test_05_pause_run_resume(played):
    """A campaign that is paused sends nothing; then each person gets one message."""
    run(played, "run", "--once", "--limit", "4")
    assert "paused" in run(played, "pause")
    assert "all contacts that are left are paused" in run(played, "run", "--once", code=13)
    assert len(played.sandbox.effects()) == 4
    run(played, "resume")
    run(played, "run", "--once")
    assert len({effect["conversationId"] for effect in played.sandbox.effects()}) == 40
    assert (
        sum(status(played)["contacts"][kind]["delivered"] for kind in ("notified", "opened")) == 40
    )


def test_06_reads(played, tmp_path):
    """status, explain, parked, lineage and rejected read the database."""
    (key, *_) = [row["contact_key"] for row in map(json.loads, lineage(played))]
    assert key in run(played, "explain", key)
    assert run(played, "parked", "list", "--json").strip() == "[]"
    assert len(lineage(played)) == 40
    cursor = tmp_path / "cursor"
    assert len(lineage(played, "--cursor-file", cursor)) == 40
    assert lineage(played, "--cursor-file", cursor) == []
    assert cursor.read_text().count("-") == 2
    assert "is of an earlier state" in run(
        played, "lineage", "export", "--format", "jsonl", "--since", OLD, code=2
    )
    run(played, "rejected", "export", "--out", tmp_path / "rejected.csv")
    assert "Ledger postgresql://" in run(played, "ledger", "verify")


def lineage(played, *more):
    return run(played, "lineage", "export", "--format", "jsonl", *more).splitlines()


def test_07_verify_lineage(played):
    said = run(played, "lineage", "verify", "--min-age", "0")
    assert "confirmed: 40" in said


async def park(ledger):
    """Park two contacts, as a run does."""
    store = await open_store(ledger, "play")
    campaign = await store.campaign("play")
    contacts = [Contact(f"late-{n}", f"late-{n}", "Hello") for n in range(2)]
    for claim in (await campaign.admit(Batch(contacts), 1.0, 2)).claims:
        await campaign.settle(Settlement(claim.id, Status.PARKED, Reason.EXHAUSTED, 2.0, NEW))
    await store.close()


def test_08_replay_and_drop(played):
    """Parked contacts go back to the run, or are dropped."""
    asyncio.run(park(played.url))
    (one, two) = [row["key"] for row in json.loads(run(played, "parked", "list", "--json"))]
    assert "1 contact dropped, in the ledger itself: no dispatcher" in run(
        played, "parked", "drop", one, "--yes"
    )
    assert "1 contact replayed" in run(played, "parked", "replay", two, "--yes")
    assert status(played)["backlog"]["due"] == 1


def test_09_commands_beside_a_run(played):
    """The run carries orders out; prune and forget work beside it."""
    environment = clean_environment() | played.environment
    environment.pop("PGPASSWORD", None)
    line = ["-m", "dispatcher", "run", "--config", str(played.config), "--no-progress"]
    line += ["--set", "source.watch=false"]
    running = Forked(line, environment)
    try:
        said = ""
        for _ in range(200):
            if running.poll() is not None:
                break
            said = json.loads(run(played, "status", "--json"))["source"]
            if said.startswith("dispatcher"):
                break
        assert said == f"dispatcher {running.pid}"
        assert "by the running dispatcher" in run(played, "pause")
        assert "by the running dispatcher" in run(played, "resume")
        assert "would be removed" in run(
            played, "ledger", "prune", "--older-than", "1d", "--dry-run"
        )
        key = json.loads(lineage(played)[-1])["contact_key"]
        assert "1 contact and 0 rejected rows were erased." in run(played, "ledger", "forget", key)
    finally:
        running.terminate()
        running.communicate(30)
    assert "the tables have" in run(played, "ledger", "prune", "--older-than", "1d").lower()


def test_10_what_a_server_does_otherwise(played, tmp_path):
    assert "pg_dump" in run(played, "ledger", "backup", tmp_path / "copy.db", code=4)
    assert "only a file is adopted" in run(played, "ledger", "adopt", code=4)


def test_10_a_restore_is_recorded(played):
    """Each run refuses the ledger then, until one adopts it."""
    assert "is recorded as restored" in run(played, "ledger", "restored")
    assert "it was restored" in run(played, "run", "--once", code=4)
    run(played, "run", "--once", "--adopt")
    run(played, "run", "--once")
    assert (played.config.parent / "state.json").exists()


def test_11_copy_back(played, tmp_path):
    """The file has the same contacts; what has moved can be read, and refuses runs and orders."""
    target = tmp_path / "ledger.db"
    moved = run(played, "ledger", "copy", "--to", target)
    assert f"has moved to {target}: " in moved
    assert f"was copied to {target} before" in run(played, "ledger", "copy", "--to", target)
    line = ["-m", "dispatcher", "status", "--json", "--ledger", str(target)]
    shown = forked_process.run(line, clean_environment(), 60)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["campaigns"] == [status(played)]
    for refused in (["run", "--once"], ["run", "--once", "--adopt"], ["pause"]):
        assert f"it has moved to {target}" in run(played, *refused, code=4)
    run(played, "ledger", "copy", "--to", target, "--undo")
    assert "Campaign play is paused" in run(played, "pause")
