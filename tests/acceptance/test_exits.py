"""Life and death of a run, as Datadog sees them: its start, its heartbeat and its exit code."""

import pytest

from dispatcher import __version__
from tests.support import forked_process
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import play

EXITS = "dispatcher.run.exits"


@pytest.fixture
def played(tmp_path):
    with play(tmp_path, "plain", 5) as started:
        yield started


def test_a_wrong_secret_sends_the_exit_and_nothing_else(played):
    """No row of zeros, which would look like a healthy run: the code, and an event in words."""
    played.environment["DISPATCHER_CLIENT_SECRET"] = "not-the-secret"
    ended = played.run()
    assert ended.returncode == 5, ended.stderr
    played.metrics.settle()
    assert {(m.name, m.value) for m in played.metrics.metrics} == {(EXITS, 1.0)}
    (event,) = played.metrics.events
    for text in (played.metrics.metrics[0].tags, event):
        assert "code:5" in text
    tags = {"campaign:play", "service:dispatcher", "env:none", f"version:{__version__}"}
    assert tags <= played.metrics.metrics[0].tags
    assert all(tag in event for tag in tags)
    assert "t:error" in event
    assert "credentials" in event
    assert "not-the-secret" not in event


def test_a_run_sends_its_start_its_heartbeat_and_its_exit(played):
    ended = played.run()
    assert ended.returncode == 0, ended.stderr
    played.metrics.settle()
    assert played.metrics.series("dispatcher.run.started", "mode") == {("once",): 1, ("daemon",): 0}
    assert played.metrics.gauge("dispatcher.heartbeat", "mode:once") == 1
    exits = played.metrics.series(EXITS, "code")
    assert {code: number for (code,), number in exits.items() if number} == {"0": 1}
    assert played.metrics.events == []


@pytest.mark.parametrize(
    ("more", "code", "campaign"),
    [
        (["--no-such-option"], 2, None),
        (["--set", "engine.workers=none"], 2, "play"),
        (["--source", "missing.csv"], 2, "play"),
        (["--source", "{folder}/none-*.csv"], 3, "play"),
        (["--set", "source.columns.conversation_id=missing"], 3, "play"),
        (["--ledger", "{folder}"], 4, "play"),
    ],
)
def test_a_start_that_fails_sends_its_exit_code(played, more, code, campaign):
    """Also where the settings cannot be read, if the agent's address is known. Nothing else."""
    environment = {**clean_environment(), **played.environment}
    environment["DD_DOGSTATSD_PORT"] = str(played.metrics.port)
    arguments = [part.format(folder=played.folder) for part in more]
    ended = forked_process.run(played.command(*arguments), environment, 60)
    assert ended.returncode == code, ended.stderr
    played.metrics.settle()
    (metric,) = played.metrics.metrics
    assert (metric.name, metric.value) == (EXITS, 1)
    assert f"code:{code}" in metric.tags
    assert [tag for tag in metric.tags if tag.startswith("campaign:")] == (
        [f"campaign:{campaign}"] if campaign else []
    )
