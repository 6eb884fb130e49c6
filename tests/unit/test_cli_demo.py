"""The demo's files: what is bundled, and what is written into its folder."""

import tomllib

import pytest

from dispatcher.cli.commands import demo
from dispatcher.sandbox.conversation_kinds import KINDS, kind_name
from dispatcher.sandbox.scenario.scenario import load as load_scenario
from dispatcher.settings import load

URL = "http://127.0.0.1:4711"


def test_bundled_contacts_have_every_kind_that_ends_in_time():
    """2,000 rows with all kinds of conversation of the scenario, bad rows and duplicates too."""
    rows = (demo.DEMO / "contacts.csv").read_bytes().splitlines()
    assert rows[0] == b"conversation_id,external_contact_id,first_name,cart_value,status"
    assert len(rows) == 2001
    ids = [row.split(b",")[0].decode("utf-8", "replace") for row in rows[1:]]
    shares = dict(load_scenario(demo.DEMO / "scenario.toml").world.shares)
    assert {kind_name(found) for found in ids} - {""} == set(shares) <= set(KINDS)
    assert len(set(ids)) < len(ids)


def test_folder_is_emptied_of_an_earlier_demo_and_its_settings_are_right(tmp_path, monkeypatch):
    """What an earlier demo left is replaced, other files stay, and the settings load."""
    monkeypatch.chdir(tmp_path)
    files = demo.DemoFolder(tmp_path / 'a "demo"')
    files.prepare()
    for name in ("ledger.db", "ledger.db-wal", "effects.jsonl", "dispatcher.log", "mine.txt"):
        (files.folder / name).write_text("old")
    files.prepare()
    files.configure(URL)
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "contacts.csv", "dispatcher.toml", "mine.txt", "scenario.toml",
    ]  # fmt: skip
    settings = load(files.config, env=demo._environment())
    assert settings.platform.base_url == URL
    assert settings.ledger.path == files.ledger
    assert settings.source.path == str(files.contacts)
    assert settings.telemetry.log_file == str(files.log)


def test_quota_is_the_scenarios():
    """The run has the rate that the sandbox enforces."""
    platform = tomllib.loads((demo.DEMO / "dispatcher.toml").read_text())["platform"]
    rate = load_scenario(demo.DEMO / "scenario.toml").rate
    assert platform["window_seconds"] == rate.window_seconds
    assert platform["requests_per_minute"] * rate.window_seconds / 60 == rate.allowed


@pytest.mark.parametrize("name", ["DISPATCHER__PLATFORM__BASE_URL", "DD_AGENT_HOST"])
def test_settings_of_a_real_run_do_not_reach_the_demo(monkeypatch, name):
    """A shell that is set up for production cannot make the demo write to anybody."""
    monkeypatch.setenv(name, "https://api.example.com")
    assert name not in demo._environment()
