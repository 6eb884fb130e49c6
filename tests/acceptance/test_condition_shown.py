"""The condition of a halted run, wherever an operator looks for it."""

import json
import time

from tests.support import forked_process
from tests.support.scenario_runner import play

WRITE = "conversations:messaging:write"


def status_of(played, *more):
    """Return what `dispatcher status` prints."""
    command = ["-m", "dispatcher", "status", "--ledger", str(played.ledger), *more]
    return forked_process.run(command, forked_process.clean_environment()).stdout


def changes(played):
    """Return the log lines of changes of the condition."""
    every = [json.loads(line) for line in played.log.read_text().splitlines()]
    return [line for line in every if line["event"] == "condition.changed"]


def wait_for(true, seconds=30.0):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)


def test_a_halted_run_names_its_cause_and_what_to_do_everywhere(tmp_path):
    """The log, the gauge, the event, the service check and both forms of the status agree."""
    settings = {"telemetry.runbook_url": "https://wiki.example/run", "engine.probe_seconds": 5}
    with play(tmp_path, "scope-missing", 20, settings) as played:
        run = played.start()
        try:
            played.metrics.wait_for(lambda m: m.gauge("dispatcher.condition", "cause:ok") == 1, 30)
            wait_for(lambda: played.log.exists() and changes(played))
            shown, as_json = status_of(played), json.loads(status_of(played, "--json"))
        finally:
            run.terminate()
            run.communicate(30)
        (line,) = changes(played)
        assert (line["was"], line["cause"], line["priority"]) == ("ok", "scope_missing", "P1")
        assert line["level"] == "error"
        assert WRITE in line["words"]
        assert "granted in:" in line["words"]
        assert line["runbook"] == "https://wiki.example/run#condition-scope_missing"
        first, evidence, *_ = shown.splitlines()
        assert first.startswith("Condition: scope_missing: The OAuth client lacks a scope [P1: ")
        assert WRITE in evidence
        assert "  3. The run resumes" in shown
        assert as_json["run"]["condition"]["cause"] == "scope_missing"
        assert played.metrics.gauge("dispatcher.condition", "cause:scope_missing") == 1
        assert played.metrics.gauge("dispatcher.condition", "cause:ok") == 0
        (event,) = played.metrics.events
        assert "|k:scope_missing|" in event
        assert "|t:error|" in event
        text, tags = event.rsplit("|#", 1)
        assert WRITE in text
        assert "Runbook: https://wiki.example/run#condition-scope_missing" in text
        assert "campaign:play" in tags
        statuses = [check.split("|")[2] for check in played.metrics.checks]
        assert statuses[0] == "0"
        assert statuses[-1] == "2"


def test_a_short_run_over_a_damaged_export_says_so_before_it_ends(tmp_path):
    """Six of ten ids were cut by a spreadsheet: the good rows are sent to, and the cause is named.

    The log, the gauge, the event and the service check have it, although the run takes seconds.
    """
    damaged = "".join(
        f"{'1.23457E+15' if number % 5 < 3 else f'ended-{number}'},Ada\n" for number in range(50)
    )
    with play(tmp_path, "plain", 1) as played:
        played.contacts.write_text(f"conversation_id,first_name\n{damaged}")
        done = played.run()
        assert done.returncode == 0, done.stderr
        assert len(played.settled()) == 20
        line = changes(played)[-1]
        assert (line["cause"], line["priority"]) == ("rows_rejected", "P2")
        evidence = line["evidence"]
        assert (evidence["rows_rejected"], evidence["rows_read"]) == (30, 50)
        assert (evidence["reason"], evidence["column"]) == ("mangled_number", "conversation_id")
        assert "1.23457E+15" not in json.dumps(line)
        assert played.metrics.gauge("dispatcher.condition", "cause:rows_rejected") == 1
        assert "|k:rows_rejected|" in played.metrics.events[-1]
        assert played.metrics.checks[-1].split("|")[2] == "1"
