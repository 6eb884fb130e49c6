"""``dispatcher preview``: the messages of a source, and what may be sent to whom."""

import json

import pytest
from click.testing import CliRunner

from dispatcher.app import preview as previews
from dispatcher.cli import cli
from dispatcher.engine.single_send import SingleSendReport

ROWS = """conversation_id,first_name,city
c-1,Ada,Rome
c-2,,Rome
c-3,Maximiliana,Rome
c-4,Bo,
,Eve,Rome
c-6,Al,Rome
"""
TEMPLATE = "Hello {first_name|there}, how is {city}?"


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contacts.csv").write_text(ROWS)

    def run(*more, secrets=False, template=TEMPLATE):
        env = {"DISPATCHER_CLIENT_ID": "a", "DISPATCHER_CLIENT_SECRET": "b"} if secrets else {}
        options = ["--source", "contacts.csv", "--campaign", "carts", "--set"]
        options += [f"message.text={template}", "--platform-url", "https://api.example.com"]
        return CliRunner(env=env).invoke(cli, ["preview", *options, *more])

    return run


def test_the_messages_of_each_kind(invoke):
    """The first, the longest, the shortest, those with a fallback, those that are rejected."""
    result = invoke("--number", "2", "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    keys = {
        kind: [message["contact_key"] for message in shown[kind]]
        for kind in ("first", "longest", "shortest", "with_fallback")
    }
    assert keys == {
        "first": ["c-1", "c-2"],
        "longest": ["c-3", "c-2"],
        "shortest": ["c-6", "c-1"],
        "with_fallback": ["c-2"],
    }
    assert shown["first"][1]["text"] == "Hello there, how is Rome?"
    assert shown["first"][1]["characters"] == len("Hello there, how is Rome?")
    rejected = [(row["line"], row["reason"]) for row in shown["rejected"]]
    assert rejected == [(5, "missing_placeholder"), (6, "no_id")]
    assert shown["counts"] == {
        "rows": 6,
        "messages": 4,
        "filtered": 0,
        "suppressed": 0,
        "with_fallback": 1,
        "fallbacks": {"first_name": 1},
        "rejected": {"missing_placeholder": 1, "no_id": 1},
    }


def test_people_read_it_without_credentials(invoke, tmp_path):
    """Text is on one line, counts follow; no ledger is made."""
    (tmp_path / "never.csv").write_text("c-1\n")
    result = invoke("--set", "rules.suppression_file=never.csv")
    assert result.exit_code == 0, result.output
    assert "c-1\t23\t\tHello Ada, how is Rome?" in result.stdout
    assert "6 rows: 4 messages, 0 filtered." in result.stdout
    assert "Fallbacks used: first_name 1." in result.stdout
    assert "On the suppression list, or opted out: 1" in result.stdout
    assert not (tmp_path / "ledger.db").exists()


def test_a_rows_own_text_uses_no_fallback(invoke, tmp_path):
    """The template is for rows without a text."""
    (tmp_path / "contacts.csv").write_text("conversation_id,text,first_name,city\nc-1,Hi,,\n")
    counts = json.loads(invoke("--json", "--set", "source.columns.text=text").stdout)["counts"]
    assert (counts["messages"], counts["fallbacks"]) == (1, {})


def test_a_message_is_sent_to_oneself_and_not_to_a_contact(invoke, monkeypatch):
    """The conversation of a row is refused, whatever its case; --yes permits it."""
    sent = []

    async def send(_settings, contact):
        sent.append((contact.conversation_id, contact.text, contact.external_contact_id))
        return SingleSendReport(is_confirmed=len(sent) == 1, detail="as it went")

    monkeypatch.setattr(previews, "_send", send)
    result = invoke("--send-to", "mine-1", secrets=True)
    assert result.exit_code == 0, result.output
    assert "Sent: as it went." in result.stdout
    refused = invoke("--send-to", "C-2", secrets=True)
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    wrong = invoke("--send-to", "../users", secrets=True)
    assert wrong.exit_code == 2
    name = invoke("--send-to", "conversation_id", secrets=True)
    assert (name.exit_code, "is not a conversation id" in name.stderr) == (2, True)
    assert sent == [("mine-1", "Hello Ada, how is Rome?", None)]
    forced = invoke("--send-to", "C-2", "--yes", secrets=True)
    assert forced.exit_code == 5
    assert "Not sent: as it went." in forced.stdout
