"""Mistakes in the settings: all at once, each with its place and what to do."""

from pathlib import Path

import pytest

from dispatcher.settings import SettingsError, SettingsProblem, load
from tests.support.least_settings import NEEDED, SECRETS


def mistakes(
    *sets: str,
    config: Path | None = None,
    env: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
    purpose: str = "check",
) -> dict[str, SettingsProblem]:
    with pytest.raises(SettingsError) as caught:
        load(
            config,
            env=SECRETS if env is None else env,
            sets=sets,
            flags=NEEDED if flags is None else flags,
            purpose=purpose,
        )
    return {mistake.key: mistake for mistake in caught.value.mistakes}


def test_all_at_once_from_all_places(tmp_path):
    """Wrong types, bounds, unknown keys, missing ones, broken rules: one error names them all."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        'campain = "x"\n'
        "[platform]\n"
        "timeout_seconds = 0\n"
        'base_url = "http://api.example.com"\n'
        "[engine]\n"
        'workers = "many"\n'
        "[retry]\n"
        "backoff_seconds = 10\n"
        "backoff_max_seconds = 5\n"
    )
    env = {"DISPATCHER__TELEMETRY__LOG_FORMAT": "xml", "DISPATCHER_CLIENT_ID": "i"}
    found = mistakes("message.text=Hi {name", config=config, env=env, flags={})
    places = {key: (Path(m.where).name, m.line) for key, m in found.items()}
    assert places == {
        "campain": ("dispatcher.toml", 1),
        "source.path": ("settings", None),
        "platform.timeout_seconds": ("dispatcher.toml", 3),
        "platform.base_url": ("dispatcher.toml", 4),
        "engine.workers": ("dispatcher.toml", 6),
        "retry.backoff_max_seconds": ("dispatcher.toml", 9),
        "telemetry.log_format": ("environment", None),
        "message.text": ("--set", None),
        "DISPATCHER_CLIENT_SECRET": ("environment", None),
    }
    assert 'not "many"' in found["engine.workers"].problem
    assert "at least 0.05" in found["platform.timeout_seconds"].problem


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("platform.timeout_second", "did you mean platform.timeout_seconds?"),
        ("engine.timeout_seconds", "did you mean platform.timeout_seconds?"),
        ("platfrom.base_url", "did you mean the section [platform]?"),
        ("campain", "did you mean campaign?"),
        ("workers", "did you mean engine.workers?"),
        ("platform.client_secret", "secrets are read from DISPATCHER_CLIENT_ID and"),
        ("client_id", "secrets are read from DISPATCHER_CLIENT_ID and"),
        ("engine.zzz", "`dispatcher check --show` prints every key"),
    ],
)
def test_unknown_keys_get_a_hint(key, hint):
    """The nearest key of the section, of all, or the section itself is suggested."""
    (mistake,) = mistakes(f"{key}=1").values()
    assert mistake.problem == "is not known"
    assert hint in mistake.hint


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("engine.workers=0", "engine.workers", "at least 1, not 0"),
        ("engine.workers=1.5", "engine.workers", "whole number"),
        ("engine.workers=true", "engine.workers", "whole number"),
        ("engine.drain_seconds=nan", "engine.drain_seconds", "number"),
        ("source.watch=yes", "source.watch", "true or false"),
        ("platform.scopes=a", "platform.scopes", "list of strings"),
        ("platform.scopes=[1]", "platform.scopes", "must be a string"),
        ("platform.dialect=smoke", "platform.dialect", '"genesys", not "smoke"'),
        ("platform.missing_conversation=ask", "platform.missing_conversation", "one of"),
        ("source.delimiter=;;", "source.delimiter", "single ASCII character"),
        ("source.timezone=Mars/Olympus", "source.timezone", "not a valid time zone"),
        ("source.columns.mail=M", "source.columns.mail", "one of"),
        ("source.columns=3", "source.columns", "table"),
        ("retry=3", "retry", "table"),
        ("message.text=}", "message.text", "character 1"),
        ("message.text={a.b!r}", "message.text", "character 1"),
        ("message.subject={}", "message.subject", "character 1"),
        (f"message.text={'x' * 2001}", "message.text", "2000"),
        ("telemetry.statsd_port=0", "telemetry.statsd_port", "at least 1"),
        ("platform.ca_bundle=/nowhere.pem", "platform.ca_bundle", "not a file"),
        ("ledger.path=/nowhere/ledger.db", "ledger.path", "does not exist"),
        ("engine.workers", "engine.workers", "has no value"),
    ],
)
def test_wrong_values_say_what_is_right(text, key, words):
    """Each problem says what would be right; the key is the one that was written."""
    found = mistakes(text)
    assert list(found) == [key]
    assert words in found[key].problem


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ([], "does not exist"),
        (["source.watch=true"], "must be a folder"),
    ],
)
def test_a_source_that_is_not_there(sets, words, tmp_path):
    """A missing file is reported before a run; a glob may match later."""
    flags = NEEDED | {"source.path": str(tmp_path / "no.csv")}
    assert words in mistakes(*sets, flags=flags)["source.path"].problem
    load(env=SECRETS, flags=NEEDED | {"source.path": str(tmp_path / "*.csv")})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('engine.workers="300"', "write 300 without quotes"),
        ('engine.drain_seconds="0.5"', "write 0.5 without quotes"),
        ('source.watch="true"', "write true without quotes"),
        ('engine.workers="many"', ""),
        ("source.watch=1", ""),
    ],
)
def test_a_number_in_quotes_gets_a_hint(text, hint):
    (mistake,) = mistakes(text).values()
    assert mistake.hint == hint


def test_a_misspelt_key_is_one_mistake():
    """The key that it means is not missing besides; another one is."""
    flags = {"campaing": "c", "source.path": "-"}
    found = mistakes(flags=flags)
    assert set(found) == {"campaing", "platform.base_url"}
    flags = {"campaign": "c", "source.path": "-", "platfrom.base_url": "https://api.example.com"}
    assert set(mistakes(flags=flags)) == {"platfrom"}


def test_quiet_hours_show_one_example():
    (mistake,) = mistakes("rules.quiet_hours=9").values()
    assert str(mistake).count("21:00-08:00") == 1


def test_a_campaign_is_a_plain_name():
    """The name is a tag of every metric, so it has no blanks."""
    found = mistakes(flags=NEEDED | {"campaign": "two words"})
    assert (found["campaign"].where, list(found)) == ("--campaign", ["campaign"])


def test_a_folder_is_watched_or_globbed(tmp_path):
    """A folder without watch = true gets a hint with both solutions."""
    mistake = mistakes(flags=NEEDED | {"source.path": str(tmp_path)})["source.path"]
    assert "watch = true" in mistake.hint
    assert "*.csv" in mistake.hint


def test_a_file_that_is_no_toml_is_one_mistake(tmp_path):
    """It is the only one: what the file would set is not missing."""
    config = tmp_path / "dispatcher.toml"
    config.write_text("campaign = cart\n")
    found = mistakes("engine.workers=0", config=config, flags={})
    assert set(found) == {"the file"}
    assert "line 1" in found["the file"].problem
    assert "cannot be read" in mistakes(config=tmp_path / "none.toml")["the file"].problem
    config.write_bytes(b'campaign = "\xff"\n')
    assert "UTF-8" in mistakes(config=config)["the file"].problem


def test_lines_are_found_in_every_way_of_writing(tmp_path):
    """Dotted keys, quoted keys, inline tables and a byte order mark lose no line."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        "\ufeffengine.workers = 0\n"
        "retry = { max_attempts = 0 }\n"
        "\n"
        "[ source ]  # where from\n"
        '"delimiter" = "::"\n',
        encoding="utf-8",
    )
    found = mistakes(config=config)
    assert {key: m.line for key, m in found.items()} == {
        "engine.workers": 1,
        "retry.max_attempts": 2,
        "source.delimiter": 5,
    }


def test_a_mistake_reads_as_a_line():
    """Place, key, problem and hint are in one line that editors can follow."""
    mistake = SettingsProblem(
        "dispatcher.toml", "engine.workers", "must be at least 1, not 0", "try 1", 7
    )
    assert str(mistake) == "dispatcher.toml:7: engine.workers must be at least 1, not 0 (try 1)"


@pytest.mark.parametrize("value", ["0", "101", "Auto", '"20"', "2.0", "true", "[]"])
def test_how_many_states_a_request_reads_is_a_number_or_auto(value):
    (found,) = mistakes(f"platform.states_per_call={value}").values()
    assert found.problem == 'must be "auto" or a whole number from 1 to 100'
    assert "20" in found.hint


@pytest.mark.parametrize(("value", "kept"), [("auto", "auto"), ('"auto"', "auto"), ("100", 100)])
def test_auto_is_accepted_wherever_a_number_is(value, kept):
    env = {**SECRETS, "DISPATCHER__PLATFORM__STATES_PER_CALL": value}
    for settings in (
        load(None, env=env, flags=NEEDED),
        load(None, env=SECRETS, flags=NEEDED, sets=[f"platform.states_per_call={value}"]),
    ):
        assert settings.platform.states_per_call == kept
