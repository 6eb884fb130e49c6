"""The first minutes: a configuration to begin with, and scenarios by their names."""

import csv

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from dispatcher.cli.bundled_files import find_scenario, scenario_names
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
