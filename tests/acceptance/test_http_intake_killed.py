"""Contacts that are posted to the installed command: its example, its end, and its kills.

``python -m tests.support.posting_crash`` does the same with thousands of contacts and hundreds of
kills.
"""

import json
import re
import signal
import time
from collections import Counter

import pytest

from tests.support import forked_process
from tests.support.posting import PostedRun
from tests.support.posting_crash import SCENARIO, play_kills, rows_of
from tests.support.sandbox_process import sandbox


@pytest.fixture
def posted(tmp_path):
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO)
    with sandbox(scenario, tmp_path / "effects.jsonl") as running:
        made = PostedRun(tmp_path, running)
        yield made
        made.kill()


def test_the_example_for_http(posted):
    """It runs as it is shipped; status shows the posts, and a signal ends it with exit code 0."""
    checked = forked_process.run(posted.command("check", "--online"), posted.environment)
    assert f"ok    address for posts: 127.0.0.1:{posted.port} is free" in checked.stdout
    assert checked.returncode == 0, checked.stdout
    process = posted.start()
    client = posted.client()
    rows = rows_of(6)
    answer = client.deliver([*rows, rows[0], {"conversation_id": "a/b", "first_name": None}])
    assert (answer["admitted"], answer["duplicates"]) == (6, 1)
    assert [rejected[:2] for rejected in answer["rejected"]] == [[8, "bad_id"]]
    assert client.deliver(rows) == {"admitted": 0, "duplicates": 6, "rejected": []}
    posted.sandbox.wait_for_effects(6)
    taken = forked_process.run(posted.command("check", "--online"), posted.environment)
    assert "FAIL  address for posts" in taken.stdout
    status = forked_process.run(
        ["-m", "dispatcher", "status", "--ledger", str(posted.ledger)], posted.environment
    )
    shown = " ".join(status.stdout.split())
    # 503 as well, if the first post came before the run had begun
    assert re.search(r"posts with 14 rows accepted; answered 2 with 202(, \d+ with 503)?\.", shown)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    with pytest.raises(OSError, match="refused"):
        client.post(b"[]")


def test_a_post_is_answered_alike_after_a_kill(posted):
    """By its Idempotency-Key, as the ledger kept it; the same key with another body is 422."""
    process, client, rows = posted.start(), posted.client(), rows_of(3)
    first = client.deliver(rows, "key-1")
    posted.kill()
    process = posted.start()
    assert first == {"admitted": 3, "duplicates": 0, "rejected": []}
    assert client.deliver(rows, "key-1") == first
    status, problem, _ = client.post(b"[]", "key-1")
    assert (status, problem["reason"]) == (422, "key_reused")
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_pause_and_a_backlog_hold_clients_back(posted):
    """429 with the time after which a client may come again; a resume accepts it."""
    posted.settings = {"source.http.most_waiting": 2}
    process, client, rows = posted.start(), posted.client(), rows_of(9)
    client.deliver(rows[:1])
    command = ["-m", "dispatcher", "pause", "--ledger", str(posted.ledger)]
    paused = forked_process.run(command, posted.environment)
    assert paused.returncode == 0, paused.stderr
    status, problem, headers = client.post(b"[]")
    assert (status, problem["reason"], headers["Retry-After"]) == (429, "paused", "60")
    command[2] = "resume"
    forked_process.run(command, posted.environment)
    assert client.deliver(rows[1:3])["admitted"] == 2
    process.terminate()
    process.communicate(timeout=20)


def test_a_client_whose_posts_are_all_refused_is_shown(posted):
    """In the state of the source, until a post is accepted."""
    process, client = posted.start(), posted.client()
    client.deliver(rows_of(1))

    def waits_for():
        command = ["-m", "dispatcher", "status", "--ledger", str(posted.ledger), "--json"]
        shown = forked_process.run(command, posted.environment)
        return json.loads(shown.stdout)["run"]["gauges"]["source"]["waits_for"]

    for _ in range(10):
        assert client.post(b"no JSON")[0] == 400
    end = time.monotonic() + 10
    while not (reason := waits_for()) and time.monotonic() < end:
        time.sleep(0.5)
    assert re.fullmatch("all 10 posts .* were refused, at last with 400 Bad Request", reason)
    client.deliver(rows_of(1))
    while waits_for() and time.monotonic() < end:
        time.sleep(0.5)
    assert waits_for() == ""
    process.terminate()
    process.communicate(timeout=20)


def test_a_client_that_repeats_each_post_over_kills(posted):
    """Each post comes three times while the dispatcher is killed: each contact gets one message."""
    report = play_kills(posted, contacts=60, rows_per_post=3, kills=3)
    assert report.kills == 3
    assert report.unanswered, "no post met a kill"
    assert not report.forgotten, "an answer was given for what was not committed"
    assert report.messages == Counter(dict.fromkeys(report.ids, 1))
