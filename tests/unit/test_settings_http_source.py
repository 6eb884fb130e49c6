"""``source.kind = "http"``: what it needs, and whose keys the others are."""

import pytest

from dispatcher.settings import SettingsError, describe, load
from tests.support.least_settings import NEEDED, SECRETS

HTTP = {key: value for key, value in NEEDED.items() if key != "source.path"}
OPEN = "source.http.host=0.0.0.0"


def read(*sets, env=(), purpose="run"):
    sets = ["source.kind=http", *sets]
    return load(None, env={**SECRETS, **dict(env)}, sets=sets, flags=HTTP, purpose=purpose)


def mistakes(*sets, env=()):
    with pytest.raises(SettingsError) as caught:
        read(*sets, env=env)
    return [mistake.key for mistake in caught.value.mistakes]


def test_it_needs_nothing_else():
    """It listens on this machine alone by default, so that it needs no token."""
    settings = read()
    posts = settings.source.posts
    assert (posts.host, posts.port, posts.most_rows) == ("127.0.0.1", 8484, 1000)


@pytest.mark.parametrize("key", ["path=a.csv", "watch=true", "delimiter=;", "format=csv"])
def test_a_key_of_files(key):
    """It is a mistake with its own place, not ignored."""
    assert mistakes(f"source.{key}") == [f"source.{key.partition('=')[0]}"]


def test_a_section_of_http_for_files(tmp_path):
    """It is refused as well, in each of several campaigns."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        '[platform]\nbase_url = "https://api.example.com"\n'
        '[[campaigns]]\nname = "a"\nsource.kind = "http"\nsource.http.port = 8485\n'
        '[[campaigns]]\nname = "b"\nsource.path = "-"\nsource.http.port = 8485\n'
    )
    with pytest.raises(SettingsError) as caught:
        load(config, env=SECRETS)
    (mistake,) = caught.value.mistakes
    assert mistake.key == "campaigns[2].source.kind"
    assert "[source.http]" in str(mistake)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "intake.example.com"])
def test_another_host_needs_a_token(host):
    """Without one the settings are refused."""
    assert mistakes(f"source.http.host={host}") == ["source.http.token_file"]


def test_a_token_in_a_file(tmp_path):
    """It must be there and not be empty; one place for the token is enough."""
    token = tmp_path / "token"
    setting = f"source.http.token_file={token}"
    assert mistakes(OPEN, setting) == ["source.http.token_file"]
    token.touch()
    assert mistakes(OPEN, setting) == ["source.http.token_file"]
    token.write_text("secret")
    assert read(OPEN, setting).source.http.token_file == str(token)
    both = mistakes(OPEN, setting, "source.http.token_variable=T", env={"T": "x"})
    assert both == ["source.http.token_file"]


def test_a_token_in_a_variable():
    """It must be set; its value is kept, and never shown."""
    setting = "source.http.token_variable=INTAKE_TOKEN"
    assert mistakes(OPEN, setting) == ["INTAKE_TOKEN"]
    settings = read(OPEN, setting, env={"INTAKE_TOKEN": "hush-hush"})
    assert settings.environment["INTAKE_TOKEN"].get_secret_value() == "hush-hush"
    assert "hush-hush" not in describe(settings) + repr(settings)


def test_a_token_is_never_a_setting():
    """Who writes it into the file is told where secrets belong."""
    with pytest.raises(SettingsError, match="never written in this file"):
        read("source.http.token=secret")
