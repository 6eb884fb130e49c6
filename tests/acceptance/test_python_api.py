"""The Python API against the sandbox: what it promises is compared with the sandbox's log."""

import asyncio
import json
import os
import signal
import threading
from collections import Counter

import pyarrow as pa
import pytest
import structlog

from dispatcher import AsyncDispatcher, Dispatcher, DispatcherError, DispatchInterrupted, Ending
from dispatcher.domain.errors import ExitCode
from tests.support.forked_process import Forked, clean_environment
from tests.support.sandbox_process import sandbox
from tests.support.scenario_runner import CREDENTIALS

QUICK = {
    "platform.requests_per_minute": 60000,
    "platform.window_seconds": 2.0,
    "engine.wait_limit_seconds": 1.0,
    "retry.not_ended_seconds": 0.2,
    "reconcile.max_effect_delay_seconds": 0.3,
    "reconcile.max_lag_seconds": 0.3,
    "reconcile.clock_skew_seconds": 0.1,
    "reconcile.look_seconds": 0.2,
    "platform.timeout_seconds": 1.0,
    "control.socket": "off",
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """One sandbox for all; each test has conversations of its own."""
    folder = tmp_path_factory.mktemp("platform")
    scenario = folder / "scenario.toml"
    rate = "[rate]\nallowed = 4000\nwindow_seconds = 2.0\n"
    scenario.write_text(f"{rate}[analytics]\nlag_seconds = 0.0\n")
    with sandbox(scenario, folder / "effects.jsonl") as running:
        yield running


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    """The secrets come from the environment, as they always do."""
    for name in [name for name in os.environ if name.startswith(("DD_", "DISPATCHER_"))]:
        monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def options(platform, tmp_path, request):
    """The parameters of a dispatcher with a ledger of its own."""
    return {
        "ledger": tmp_path / "ledger.db",
        "platform_url": platform.url,
        "text": "Hello {first_name|there}",
        "settings": QUICK,
    }


def people(name, number, kinds=("ended", "active")):
    """Rows whose conversations exist in the sandbox and in no other test."""
    return [
        {
            "conversation_id": f"{kinds[at % len(kinds)]}-{name}-{at}",
            "external_contact_id": f"x-{kinds[at % len(kinds)]}-{name}-{at}",
            "first_name": "Ada",
        }
        for at in range(number)
    ]


def test_dispatch_and_all_that_can_be_read(platform, options):
    """Every row has its outcome, a repeat is harmless, and what is read agrees."""
    rows = [*people("whole", 6), {"conversation_id": "", "first_name": "Bo"}]
    rows.append({**rows[0], "first_name": "Again"})
    dispatcher = Dispatcher("whole", **options)
    plan = dispatcher.plan(rows, sample=None)
    assert (plan.new_contacts, plan.duplicates, plan.would_halt) == (6, 1, None)
    assert {row["status"]: row["contacts"] for row in plan.outcomes.to_pylist()} == {
        "notified": 3, "opened": 3,
    }  # fmt: skip
    assert plan.rejected.to_pylist()[0]["row"] == 6
    before = len(platform.effects())
    result = dispatcher.dispatch(pa.Table.from_pylist(rows))
    assert (result.ending, result.done, result.sent) == (Ending.DONE, True, 6)
    outcomes = result.rows.to_pylist()
    assert [row["outcome"] for row in outcomes] == [
        *(["opened", "notified"] * 3), "rejected_row", "opened",
    ]  # fmt: skip
    assert [row["duplicate"] for row in outcomes] == [False] * 7 + [True]
    assert result.rejected.to_pylist() == [
        {"row": 6, "reason": "no_id", "detail": "column 'conversation_id' is empty"}
    ]
    again = dispatcher.dispatch(rows)
    assert (again.sent, again.duplicates, again.rows) == (0, 7, result.rows)
    assert len(platform.effects()) - before == 6
    _assert_readable(dispatcher, result)


def _assert_readable(dispatcher, result):
    status = dispatcher.status()
    assert (status.left, status.running) == (0, False)
    assert sum(row["contacts"] for row in status.contacts.to_pylist()) == 6
    assert {row["outcome"]: row["rows"] for row in status.rows.to_pylist()} == {
        "admitted": 6, "duplicates": 1, "filtered": 0, "rejected_row": 1,
    }  # fmt: skip
    links = dispatcher.lineage().to_pylist()
    assert {row["conversation_id"] for row in links} == {
        row["conversation_id"] for row in result.rows.to_pylist() if row["conversation_id"]
    }
    assert dispatcher.contacts("opened").num_rows == 3
    assert dispatcher.contacts().num_rows == 6
    (bad,) = dispatcher.rejected().to_pylist()
    assert json.loads(bad["raw"])["first_name"] == "Bo"
    histories = dispatcher.histories().to_pylist()
    assert {row["what"] for row in histories} >= {"claimed", "check", "open", "notify"}
    key = links[0]["contact_key"]
    one = dispatcher.histories(key)
    assert one.to_pylist() == [row for row in histories if row["contact_key"] == key]
    assert dispatcher.histories([key, links[0]["previous_conversation_id"]]) == one
    verified = dispatcher.verify(min_age=0)
    assert (verified.checked, verified.confirmed, verified.ok) == (6, 6, True)
    assert dispatcher.verify(min_age=0).checked == 0


async def test_the_synchronous_api_works_where_a_loop_runs(platform, options):
    """As in a notebook; and the asynchronous one has the same results, in that loop."""
    rows = people("loops", 2)
    assert Dispatcher("loops", **options).dispatch(rows).sent == 2
    dispatcher = AsyncDispatcher("loops", **options)
    assert (await dispatcher.dispatch(rows)).sent == 0
    both = await asyncio.gather(dispatcher.status(), dispatcher.lineage())
    assert (both[0].left, both[1].num_rows) == (0, 2)
    assert (await dispatcher.plan(rows, sample=0)).duplicates == 2
    assert not structlog.is_configured(), "the program's logs are its own again"


PROGRAM = """
import json, sys
from dispatcher import Dispatcher
options, rows = json.loads(sys.argv[1])
Dispatcher("kill", **options).dispatch(rows)
"""


def test_nobody_gets_two_messages_after_kill_9(platform, options):
    """A dispatch is killed in its middle, and repeated: each gets one by the sandbox's log."""
    rows, before = people("kill", 60), platform.counts()["effects"]
    slow = {**options, "ledger": str(options["ledger"]), "settings": {**QUICK, "engine.workers": 4}}
    arguments = ["-c", PROGRAM, json.dumps([slow, rows])]
    process = Forked(arguments, clean_environment() | CREDENTIALS)
    platform.wait_for_effects(before + 15)
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    process.close()
    assert 15 <= platform.counts()["effects"] - before < 60
    dispatcher = Dispatcher("kill", **options)
    again = dispatcher.dispatch(rows)
    for number in range(20):  # what is in doubt is proved by records of later messages
        if again.done:
            break
        assert set(again.rows["outcome"].to_pylist()) <= {"notified", "opened", "in_doubt"}
        again = dispatcher.dispatch([*rows, *people(f"proof-{number}", 2)])
    messages = Counter(effect["conversationId"] for effect in effects_of(platform, "kill"))
    sent = again.rows["conversation_id"].to_pylist()[:60]
    assert messages == Counter(sent)
    assert len(set(sent)) == 60


def effects_of(platform, name):
    return [effect for effect in platform.effects() if f"-{name}-" in json.dumps(effect)]


def interrupted_soon(platform, number):
    """Interrupt the main thread, as Ctrl-C does, after some messages."""
    before = platform.counts()["effects"]

    def interrupt():
        platform.wait_for_effects(before + number)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


def test_a_keyboard_interrupt_drains(platform, options):
    """What was begun is finished, nothing is lost, and a repeat sends the rest."""
    slow = {**QUICK, "engine.workers": 1}
    dispatcher = Dispatcher("drain", **{**options, "settings": slow})
    thread = interrupted_soon(platform, 5)
    with pytest.raises(DispatchInterrupted, match="Dispatch again for the rest") as caught:
        dispatcher.dispatch(people("drain", 60))
    thread.join()
    result = caught.value.result
    assert (result.ending, isinstance(caught.value, KeyboardInterrupt)) == (Ending.DRAINED, True)
    assert 5 <= result.sent < 60
    assert len(effects_of(platform, "drain")) == result.sent
    assert dispatcher.contacts("in_doubt", "sending").num_rows == 0
    assert dispatcher.dispatch(people("drain", 60)).sent == 60 - result.sent
    assert len(effects_of(platform, "drain")) == 60


async def test_a_cancellation_drains(platform, options):
    """Also a time limit: it ends after what was begun, as a TimeoutError."""
    slow = {**QUICK, "engine.workers": 1}
    dispatcher = AsyncDispatcher("cancel", **{**options, "settings": slow})

    first = platform.counts()["effects"] + 1

    async def dispatch():
        async with asyncio.timeout(None) as limit:
            sending = asyncio.ensure_future(dispatcher.dispatch(people("cancel", 200)))
            await asyncio.to_thread(platform.wait_for_effects, first)
            limit.reschedule(0)
            await sending

    with pytest.raises(TimeoutError):
        await dispatch()
    sent = len(effects_of(platform, "cancel"))
    contacts = await dispatcher.contacts()
    status = Counter(row["status"] for row in contacts.to_pylist())
    assert status["sending"] + status["claimed"] + status["in_doubt"] == 0
    assert status["notified"] + status["opened"] == sent < 200


def test_errors_are_the_projects_with_their_sentences(platform, options, monkeypatch, tmp_path):
    """Settings, rows, ledgers and credentials: each names what to do; nothing was sent."""
    before = platform.counts()["effects"]
    rows = people("errors", 1)
    for change, words, code in (
        ({"platform_url": "ftp://x"}, "Dispatcher(platform_url=...)", ExitCode.USAGE),
        ({"settings": {"engine.worker": 1}}, "did you mean engine.workers", ExitCode.USAGE),
        ({"settings": {"campaigns": [{"name": "x"}]}}, "configuration file only", ExitCode.USAGE),
        ({"settings": {"sinks[1].name": "x"}}, "configuration file only", ExitCode.USAGE),
        ({"settings": {"platform": 7, 1: 2}}, "platform is a section", ExitCode.USAGE),
        ({"settings": {"source": {"sql": [1]}}}, "source.sql", ExitCode.USAGE),
        ({"settings": [1]}, "no mapping", ExitCode.USAGE),
        ({"settings": {"client_secret": "s3cret"}}, "client_secret", ExitCode.USAGE),
        ({"ledger": tmp_path / "no" / "ledger.db"}, "ledger.db", ExitCode.LEDGER),
    ):
        with pytest.raises(DispatcherError) as caught:
            Dispatcher("errors", **{**options, **change}).dispatch(rows)
        assert words in str(caught.value)
        assert "s3cret" not in str(caught.value)
        assert caught.value.exit_code == code
    with pytest.raises(DispatcherError, match="campaign is missing"):
        Dispatcher(**options).dispatch(rows)
    with pytest.raises(DispatcherError, match="conversation_id"):
        Dispatcher("errors", **options).dispatch([{"id": 1}])
    for call, words in (
        (lambda one: one.dispatch(rows, limit=0), "limit is 0"),
        (lambda one: one.dispatch(rows, accept_suspicious=["all"]), "check/404"),
        (lambda one: one.plan(rows, sample=-1), "sample is -1"),
        (lambda one: one.contacts("sent"), "notified, opened"),
        (lambda one: one.status(), "ledger.db"),
        (lambda one: one.verify(), "ledger.db"),
    ):
        with pytest.raises(DispatcherError, match=words):
            call(Dispatcher("errors", **options))
    monkeypatch.setenv("DISPATCHER_CLIENT_SECRET", "wrong")
    with pytest.raises(DispatcherError) as caught:
        Dispatcher("errors", **options).dispatch(rows)
    assert caught.value.exit_code == ExitCode.PLATFORM
    monkeypatch.delenv("DISPATCHER_CLIENT_SECRET")
    with pytest.raises(DispatcherError, match="DISPATCHER_CLIENT_SECRET"):
        Dispatcher("errors", **options).dispatch(rows)
    assert platform.counts()["effects"] == before


def test_one_ledger_has_one_dispatch_at_a_time(platform, options):
    """The second one says who has it; the first one is not disturbed."""
    slow = {**QUICK, "engine.workers": 1}
    dispatcher = Dispatcher("locked", **{**options, "settings": slow})
    results = []
    before = platform.counts()["effects"]
    first = threading.Thread(
        target=lambda: results.append(dispatcher.dispatch(people("locked", 40)))
    )
    first.start()
    platform.wait_for_effects(before + 3)
    with pytest.raises(DispatcherError, match="another dispatcher"):
        dispatcher.dispatch(people("locked", 40))
    first.join()
    assert (results[0].sent, len(effects_of(platform, "locked"))) == (40, 40)


def test_the_source_of_a_configuration(platform, options, tmp_path):
    """Without rows the source of the settings is read; `settings` overrides the file."""
    (tmp_path / "list.csv").write_text("conversation_id\nended-config-1\nended-config-2\n")
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        f'campaign = "config"\n[source]\npath = "{tmp_path}/list.csv"\n'
        f'[message]\ntext = "Hello"\n[platform]\nbase_url = "{platform.url}"\n'
    )
    dispatcher = Dispatcher(config=config, ledger=options["ledger"], settings=QUICK)
    assert dispatcher.plan(sample=0).new_contacts == 2
    result = dispatcher.dispatch(limit=1)
    assert (result.sent, result.rows.num_rows) == (1, 0)
    assert dispatcher.dispatch().sent == 1
    more = dispatcher.dispatch(people("config", 1))
    assert (more.sent, dispatcher.status().rows.num_rows) == (1, 3)
