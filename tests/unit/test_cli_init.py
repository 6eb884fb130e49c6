"""The first minutes: a configuration to begin with, and scenarios by their names."""

import csv
import tomllib

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from dispatcher.cli.bundled_files import find_scenario, scenario_names
from dispatcher.cli.first_config import Answers
from dispatcher.sandbox.conversation_kinds import kind_name
from dispatcher.sandbox.scenario.scenario import load as load_scenario
from dispatcher.settings import load
from dispatcher.sources.rows.template import Template

SECRETS = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env=SECRETS)
    return lambda *arguments: runner.invoke(cli, arguments)


def test_what_init_writes_passes_the_check_and_sends_something(invoke, tmp_path):
    """No warning, a text, and contacts that have the text's columns and that the sandbox knows."""
    assert invoke("init").exit_code == 0
    checked = invoke("check")
    assert (checked.exit_code, checked.stderr) == (0, "")
    settings = load(tmp_path / "dispatcher.toml", env=SECRETS)
    text = (tmp_path / "contacts.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    names = Template(settings.message.text).names
    good = [row for row in rows if all(row[name] for name in names)]
    assert len(good) >= 4
    assert all(kind_name(row["conversation_id"]) for row in rows)


def test_init_overwrites_nothing_unless_it_is_forced(invoke, tmp_path):
    config = tmp_path / "new" / "dispatcher.toml"
    assert invoke("init", "new").exit_code == 0
    config.write_text("mine")
    refused = invoke("init", "new")
    assert refused.exit_code == 2
    assert "new/dispatcher.toml, new/contacts.csv" in refused.stderr
    assert config.read_text() == "mine"
    assert invoke("init", "new", "--force").exit_code == 0
    assert config.read_text() != "mine"


@pytest.mark.parametrize("name", scenario_names())
def test_every_bundled_scenario_is_found_by_its_name(name):
    load_scenario(find_scenario(name))


def test_a_scenario_is_a_file_first(invoke, tmp_path):
    (tmp_path / "plain").write_text("seed = 77\n")
    assert find_scenario(str(tmp_path / "plain")) == tmp_path / "plain"
    wrong = invoke("sandbox", "--scenario", "config/plan.toml")
    assert wrong.exit_code == 2
    assert 'did you mean "plain"' in wrong.stderr
    assert "Errno" not in wrong.stderr


URL = "https://api.example.com"


def written(folder):
    return load(folder / "dispatcher.toml", env=SECRETS)


def test_flags_make_the_shortest_configuration_and_check_it(invoke, tmp_path):
    """Its paths start in its own folder, and it has only what is not a default."""
    (tmp_path / "list.csv").write_text("conversation_id,first_name\nended-1,Ada\n")
    text = 'Hello {first_name|"friend"}!'
    result = invoke("init", "new", "--contacts", "list.csv", "--text", text, "--platform-url", URL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "campaign new is fine" in result.output
    assert "cd new" in result.output
    assert "export" not in result.output
    lines = (tmp_path / "new" / "dispatcher.toml").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        'campaign = "new"',
        "[message]",
        'text = "Hello {first_name|\\"friend\\"}!"',
        "[source]",
        'path = "../list.csv"',
        "[platform]",
        f'base_url = "{URL}"',
    ]
    assert tomllib.loads("\n".join(lines))["message"]["text"] == text


def test_columns_are_recognised_as_the_check_says(invoke, tmp_path):
    (tmp_path / "c.csv").write_text(
        "Conversation Nr,ext_contact_id,external_contct_id,optout,expiry_date\n"
        "ended-1,a,x-ended-1,no,2030-01-01\n"
    )
    result = invoke("init", "--contacts", "c.csv", "--column", "conversation_id=Conversation Nr")
    assert result.exit_code == 0, result.stderr
    settings = written(tmp_path)
    assert settings.source.columns["conversation_id"] == "Conversation Nr"
    assert settings.source.columns["external_contact_id"] == "external_contct_id"
    assert settings.source.columns["expires_at"] == "expiry_date"
    assert settings.rules.opt_out_columns == ("optout",)
    assert "column optout: people with a yes get no message" in result.output
    assert invoke("check", "--source").exit_code == 0


def test_what_is_wrong_is_reported_and_the_file_is_there(invoke, tmp_path):
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    result = invoke("init", "--contacts", "c.csv")
    assert result.exit_code == 3
    assert "no column 'conversation_id'" in result.stderr
    assert (tmp_path / "dispatcher.toml").exists()


def test_missing_credentials_are_the_next_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    result = CliRunner().invoke(cli, ["init", "--campaign", "c1"])
    assert result.exit_code == 0, result.stderr
    export = "export DISPATCHER_CLIENT_ID=sandbox-client DISPATCHER_CLIENT_SECRET=sandbox-secret"
    assert export in result.output
    assert (tmp_path / "contacts.csv").exists()


def test_five_questions_are_asked_at_a_terminal_only(invoke, monkeypatch, tmp_path):
    monkeypatch.setattr("dispatcher.cli.commands.init._is_terminal", lambda: True)
    (tmp_path / "k").mkdir()
    for name in ("client_id", "client_secret"):
        (tmp_path / "k" / name).write_text("s")
    (tmp_path / "list.csv").write_text("conversation_id\nended-1\n")
    runner = CliRunner(env=SECRETS)
    answers = "mypurecloud.de\nd-1\ncart-1\nnone.csv\nlist.csv\nHello!\nk\n"
    asked = runner.invoke(cli, ["init"], input=answers)
    assert asked.exit_code == 0, asked.stderr
    settings = written(tmp_path)
    assert (settings.campaign, settings.platform.region) == ("cart-1", "mypurecloud.de")
    assert (settings.platform.from_address, settings.message.text) == ("d-1", "Hello!")
    assert settings.credentials.client_id_file == "k/client_id"
    assert "none.csv is not a file" in asked.output
    named = invoke("init", "folder")
    assert "platform" not in named.output.splitlines()[0]
    assert (tmp_path / "folder" / "contacts.csv").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--region", "mypurecloud.de"),
        ("--region", "mypurecloud.de", "--platform-url", URL),
        ("--column", "conversation=CONV"),
    ],
)
def test_flags_that_do_not_fit_are_mistakes(invoke, flags, tmp_path):
    assert invoke("init", *flags).exit_code == 2
    assert not (tmp_path / "dispatcher.toml").exists()


@pytest.mark.parametrize(
    ("place", "source"), [("vault:dispatcher/platform", "vault"), ("aws:dispatcher", "aws")]
)
def test_credentials_can_be_kept_elsewhere(place, source):
    """The section is what docs/credentials.md shows."""
    assert f'[credentials]\nsource = "{source}"\n' in Answers(credentials=place).toml()
