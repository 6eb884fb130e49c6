"""``[source.snowflake]`` and the sink: what is wrong with a login, a key, the name of a table."""

import pytest

from dispatcher.settings import SettingsError, load
from tests.support.least_settings import NEEDED, SECRETS

LOGIN = 'account = "A"\nuser = "U"\ndatabase = "D"\n'
SOURCE = f'[source]\nkind = "snowflake"\n[source.snowflake]\n{LOGIN}query = "SELECT 1"\n'
SINK = f'[[sinks]]\nname = "a"\nkind = "snowflake"\n{LOGIN}'
VARIABLE = 'password_variable = "P"\n'


@pytest.fixture
def mistakes(tmp_path):
    def mistakes(text):
        config = tmp_path / "dispatcher.toml"
        config.write_text(text)
        flags = {key: value for key, value in NEEDED.items() if key != "source.path"}
        if "[[sinks]]" in text:
            flags = NEEDED
        with pytest.raises(SettingsError) as caught:
            load(config, env=SECRETS, flags=flags)
        return {one.key: one.problem for one in caught.value.mistakes}

    return mistakes


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ("", "private_key_file", "is empty, and so are password_file"),
        (
            f'password_file = "{__file__}"\n' + VARIABLE,
            "password_file",
            "together with password_variable",
        ),
        ('private_key_file = "k"\n' + VARIABLE, "private_key_file", "is not a file"),
        ('private_key_file = "k"\n' + VARIABLE, "password_variable", "with private_key_file"),
        ('passphrase_variable = "V"\n' + VARIABLE, "passphrase_variable", "without private_key"),
    ],
)
@pytest.mark.parametrize(("text", "prefix"), [(SOURCE, "source.snowflake"), (SINK, "sinks[1]")])
def test_a_mistake_in_the_login(mistakes, text, prefix, more, key, words):
    """It is named with its key, for the source and for the sink."""
    assert words in mistakes(text + more)[f"{prefix}.{key}"]


def test_a_result_cannot_be_watched(mistakes):
    """A query without a key is executed once."""
    text = SOURCE.replace('"snowflake"\n', '"snowflake"\nwatch = true\n', 1) + VARIABLE
    assert "source.snowflake.key is empty" in mistakes(text)["source.watch"]


def test_the_name_of_a_table_is_plain(mistakes):
    """It is a part of statements."""
    found = mistakes(SINK + VARIABLE + 'table = "a; DROP TABLE b"\n')
    assert "no plain name of a table" in found["sinks[1].table"]
