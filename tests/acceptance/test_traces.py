"""Traces of a run of the installed command, at a receiver for OTLP."""

import json
import subprocess
import sys
from collections import defaultdict

from dispatcher import __version__
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import play
from tests.support.traces import attributes, otlp_receiver

COUNT = 60
LOW_64_BITS = (1 << 64) - 1


def test_every_sampled_contact_arrives_with_its_requests_and_its_log_lines_have_its_ids(tmp_path):
    """About half of the contacts, by the variables of OpenTelemetry and of Datadog."""
    settings = {"telemetry.trace_share": 0.5, "telemetry.trace_endpoint": "http://127.0.0.1:9/x"}
    scenario = tmp_path / "scenario.toml"
    rate = "[rate]\nallowed = 2000\nwindow_seconds = 2.0\n"
    scenario.write_text(f"{rate}[world.shares]\nactive = 1\nended = 1\n")
    with otlp_receiver() as receiver, play(tmp_path, scenario, COUNT, settings) as played:
        played.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_SERVICE_NAME": "another",
            "OTEL_RESOURCE_ATTRIBUTES": "team=outreach",
            "DD_ENV": "staging",
        }
        run = played.run()
        assert run.returncode == 0, run.stderr
        settled = played.settled()
    spans = receiver.spans
    contacts = {span.span_id: attributes(span) for span in spans if span.name == "contact"}
    assert {key: receiver.resource.get(key) for key in (
        "service.name", "service.version", "deployment.environment.name",
        "deployment.environment", "team",
    )} == {
        "service.name": "dispatcher", "service.version": __version__, "team": "outreach",
        "deployment.environment.name": "staging", "deployment.environment": "staging",
    }  # fmt: skip
    keys = {found["dispatcher.contact_key"] for found in contacts.values()}
    assert COUNT / 4 < len(keys) < COUNT * 3 / 4
    final = {
        found["dispatcher.previous_conversation_id"]:
            (found["dispatcher.status"], found["dispatcher.reason"])
        for found in contacts.values()
        if found["dispatcher.status"] != "deferred"
    }  # fmt: skip
    assert len(final) == len(keys)
    assert final == {who: settled[who] for who in final}
    below = defaultdict(set)
    for span in spans:
        below[span.parent_span_id].add(span.name)
    for span_id, found in contacts.items():
        if found["dispatcher.status"] in {"notified", "opened"}:
            assert {"check", "intent", "send", "settle"} <= below[span_id]
    lines = [json.loads(line) for line in played.log.read_text().splitlines()]
    of_contacts = [line for line in lines if line["event"] == "contact.settled"]
    assert len(of_contacts) == COUNT
    ids = {(int(line["dd.trace_id"]), int(line["dd.span_id"])) for line in of_contacts
           if "dd.trace_id" in line}  # fmt: skip
    assert ids == {
        (int.from_bytes(span.trace_id) & LOW_64_BITS, int.from_bytes(span.span_id))
        for span in spans
        if span.name == "contact" and attributes(span)["dispatcher.status"] != "deferred"
    }
    assert {line["contact_key"] for line in of_contacts if "dd.trace_id" in line} == keys


def test_without_traces_a_run_imports_nothing_of_them():
    """A share of 0 is the default; the extra need not be installed."""
    code = (
        "import sys; import dispatcher.app.run, dispatcher.cli.commands.run\n"
        "from contextlib import AsyncExitStack\n"
        "from dispatcher.app.traces import open_tracing\n"
        "from dispatcher.settings import load\n"
        "sets = ['campaign=c', 'source.path=-', 'platform.base_url=https://a.example']\n"
        "secrets = {'DISPATCHER_CLIENT_ID': 'i', 'DISPATCHER_CLIENT_SECRET': 's'}\n"
        "assert open_tracing(load(None, env=secrets, sets=sets), AsyncExitStack()) is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
