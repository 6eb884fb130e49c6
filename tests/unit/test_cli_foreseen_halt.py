"""What a plan says of a run that would halt: the share, the cause, and what to do."""

import pytest
from click.testing import CliRunner

from dispatcher.app.foreseen_halt import as_json, sentence
from dispatcher.cli import cli
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.foreseen_halt import ForeseenHalt
from dispatcher.domain.status import Reason, Step
from dispatcher.domain.suspicion import DECIDED, Local, RefusalKind, is_key

GONE = RefusalKind(Step.CHECK, 404)
SUPPRESSED = RefusalKind(Local.RULES, DECIDED, Reason.SUPPRESSED)


@pytest.mark.parametrize(
    ("halt", "words"),
    [
        (
            ForeseenHalt(GONE, 380, 400, 26),
            ("380 of 400 contacts whose state was read (95%)", "first 26", "404", "source.path"),
        ),
        (
            ForeseenHalt(SUPPRESSED, 4, 4, None),
            ("4 of 4 contacts (100%)", "end of the source", "rules.suppression_file"),
        ),
    ],
)
def test_people_read_why_and_what_to_do(halt, words):
    said = sentence(halt)
    assert said.startswith("A run would halt: ")
    assert [
        word for word in (*words, f"--accept-suspicious {halt.kind.key}") if word not in said
    ] == []


def test_programs_read_the_same():
    found = as_json(ForeseenHalt(GONE, 380, 400, 26))
    assert (found["share"], found["refused_alike"], found["answers"]) == (0.95, 380, 400)
    assert is_key(found["cause"])
    assert found["after_answers"] == 26


TWO = """
[platform]
base_url = "https://api.example.com"
[[campaigns]]
name = "one"
source.path = "-"
[[campaigns]]
name = "two"
source.path = "contacts.csv"
"""


@pytest.mark.parametrize(
    ("cause", "words"),
    [("check/404", "not the name of a cause"), (GONE.key, "for one campaign: --campaign")],
)
def test_a_cause_is_accepted_by_its_name_and_for_one_campaign(tmp_path, monkeypatch, cause, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dispatcher.toml").write_text(TWO)
    (tmp_path / "contacts.csv").write_text("conversation_id,text\n")
    secrets = {"DISPATCHER_CLIENT_ID": "a", "DISPATCHER_CLIENT_SECRET": "b", "COLUMNS": "200"}
    result = CliRunner(env=secrets).invoke(cli, ["run", "--once", "--accept-suspicious", cause])
    assert result.exit_code == ExitCode.USAGE
    assert words in result.output
