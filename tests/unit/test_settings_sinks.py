"""``[[sinks]]``: kinds, keys, and what is wrong with them."""

import pytest

from dispatcher.settings import SettingsError, describe, load
from tests.support.least_settings import NEEDED, SECRETS

SQL = '[[sinks]]\nname = "a"\nkind = "sql"\nurl = "postgresql+psycopg://u@h/d"\n'
KAFKA = '[[sinks]]\nname = "k"\nkind = "kafka"\nbootstrap_servers = "h:9"\ntopic = "t"\n'
HOOK = '[[sinks]]\nname = "w"\nkind = "webhook"\nurl = "https://h.example/x"\n'
OBJECTS = '[[sinks]]\nname = "b"\nkind = "objects"\nurl = "s3://bucket/lineage/"\n'


@pytest.fixture
def read(tmp_path):
    def read(text, **env):
        config = tmp_path / "dispatcher.toml"
        config.write_text(text)
        return load(config, env={**SECRETS, **env}, flags=NEEDED)

    return read


@pytest.fixture
def mistakes(read):
    def mistakes(text):
        with pytest.raises(SettingsError) as caught:
            read(text)
        return {one.key: (one.line, one.problem) for one in caught.value.mistakes}

    return mistakes


def test_several_sinks_with_their_defaults(read):
    """Each kind has its own keys, and all of them are shown with their places."""
    settings = read(SQL + OBJECTS)
    table, lake = settings.sinks
    assert (table.name, table.table, table.flush_seconds) == ("a", "dispatcher_lineage", 5.0)
    assert (lake.name, lake.format) == ("b", "parquet")
    text = describe(settings)
    assert 'sinks[1].url = "postgresql+psycopg://u@h/d"' in text
    assert "dispatcher.toml:4" in text
    assert 'sinks[2].format = "parquet"' in text


def test_all_mistakes_at_once(mistakes):
    """A wrong kind, a key of another kind, a wrong value, a missing key: each with its place."""
    text = SQL + 'format = "parquet"\nflush_seconds = 0\n' + OBJECTS.replace("url", "uri")
    text += '[[sinks]]\nname = "c"\nkind = "kafkaesque"\n[[sinks]]\nkind = "sql"\n'
    found = mistakes(text)
    assert set(found) == {
        "sinks[1].format", "sinks[1].flush_seconds", "sinks[2].uri", "sinks[2].url",
        "sinks[3].kind", "sinks[4].name", "sinks[4].url",
    }  # fmt: skip
    assert found["sinks[1].format"][0] == 5
    assert found["sinks[3].kind"][1].startswith("must be one of")


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (SQL.replace("u@h", "u:secret-9Q@h"), "sinks[1].url", "has a password"),
        (SQL.replace("u@h", "u:secret-9Q/1@h"), "sinks[1].url", "has a password"),
        (SQL.replace("h/d", "h/d?password=secret-9Q"), "sinks[1].url", "has a password"),
        (
            SQL.replace("u@h/d", "?odbc_connect=D%3Dx%3BPWD%3Dsecret-9Q"),
            "sinks[1].url",
            "has a pass",
        ),
        (SQL.replace("postgresql+psycopg://u@h/d", "crm"), "sinks[1].url", "is not a URL"),
        (SQL + SQL, "sinks[2].name", "already the name of another sink"),
        (HOOK.replace("https:", "ftp:"), "sinks[1].url", "is not a web address"),
        (HOOK + "flush_seconds = 3\n", "sinks[1].flush_seconds", ""),
        (KAFKA + 'sasl_username = "u"\n', "sinks[1].sasl_username", "does not fit"),
        (KAFKA + 'security_protocol = "SASL_SSL"\n', "sinks[1].sasl_username", "does not fit"),
        (KAFKA + 'ssl_keyfile = "k.pem"\n', "sinks[1].ssl_keyfile", "without ssl_certfile"),
        (SQL + 'campaigns = ["none"]\n', "sinks[1].campaigns", "is no campaign"),
        (
            SQL + 'password_file = "a"\npassword_variable = "B"\n',
            "sinks[1].password_file",
            "together with password_variable",
        ),
    ],
)
def test_a_mistake(mistakes, text, key, words):
    """It is named with its key; a password is not shown."""
    found = mistakes(text)
    assert words in found[key][1]
    assert "secret-9Q" not in str(found)


def test_the_variable_of_a_password_is_kept(read):
    """Of the environment only what the settings name is."""
    settings = read(SQL + 'password_variable = "MINE"\n', MINE="p", OTHER="q")
    assert settings.environment["MINE"].get_secret_value() == "p"
    assert "OTHER" not in settings.environment
