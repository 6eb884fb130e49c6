"""The section [credentials]: what each source needs, and what it must not have."""

import pytest

from dispatcher.settings import SettingsError, describe, load
from tests.support.least_settings import NEEDED

CLIENT = {"DISPATCHER_CLIENT_ID": "the-id-7F", "DISPATCHER_CLIENT_SECRET": "the-secret-9Q"}
VAULT = ("source=vault", "vault_address=https://vault.example.com", "vault_path=a/b")
APPROLE = (*VAULT, "vault_auth=approle", "vault_role_id=r-1")
KUBERNETES = (*VAULT, "vault_auth=kubernetes", "vault_role=shop")
TOKEN, SECRET_ID = {"VAULT_TOKEN": "hvs.token-3K"}, {"VAULT_SECRET_ID": "sid-2M"}


def settings(*sets, env=None):
    keys = [f"credentials.{text}" for text in sets]
    return load(None, env=env or {}, sets=keys, flags=NEEDED)


def mistakes(*sets, env=None):
    """Key and text of each mistake."""
    with pytest.raises(SettingsError) as caught:
        settings(*sets, env=env)
    return [(mistake.key.removeprefix("credentials."), str(mistake)) for mistake in
            caught.value.mistakes]  # fmt: skip


def test_the_environment_is_the_default():
    """As it always was."""
    loaded = settings(env=CLIENT)
    assert loaded.credentials.source == "env"
    assert loaded.environment["DISPATCHER_CLIENT_SECRET"].get_secret_value() == "the-secret-9Q"


def test_only_the_environment_source_needs_the_two_variables(tmp_path):
    """And only this source says whether they are set."""
    (tmp_path / "token").write_text("t")
    loaded = settings("source=file", f"token_file={tmp_path}/token")
    assert "client_secret = " not in describe(loaded)
    assert 'client_id = "(set)"' not in describe(settings(env=CLIENT))
    assert "client_id = (set)" in describe(settings(env=CLIENT))


INCOMPLETE = {
    "no path": (("source=vault", "vault_address=https://v"), TOKEN, "vault_path", "is missing"),
    "no address": (("source=vault", "vault_path=a"), TOKEN, "vault_address", "VAULT_ADDR"),
    "no token": (VAULT, {}, "VAULT_TOKEN", "vault_token_file"),
    "no role id": ((*VAULT, "vault_auth=approle"), SECRET_ID, "vault_role_id", "is missing"),
    "no secret id": (APPROLE, {}, "VAULT_SECRET_ID", "vault_secret_id_file"),
    "no role": ((*VAULT, "vault_auth=kubernetes", "vault_jwt_file=/dev/zero"), {}, "vault_role",
                "is missing"),
    "no service account": (KUBERNETES, {}, "vault_jwt_file", "does not exist"),
    "no bundle": ((*VAULT, "vault_ca_bundle=none.pem"), TOKEN, "vault_ca_bundle", "is not a file"),
    "no fields": ((*VAULT, "token_field=", "client_id_field="), TOKEN, "token_field", "is empty"),
    "no name": (("source=aws",), {}, "aws_secret_id", "ARN"),
    "no client id": (("source=file", "client_secret_file=/dev/zero"), {}, "client_id_file",
                     "or token_file"),
}  # fmt: skip


@pytest.mark.parametrize("name", INCOMPLETE)
def test_what_a_source_needs(name):
    """Each thing that is missing is named, with where it is set."""
    sets, env, key, words = INCOMPLETE[name]
    ((found, text),) = mistakes(*sets, env=env)
    assert found == key
    assert words in text


STRANGERS = {
    "env": ((), CLIENT, "vault_path=a", 'is for source = "vault"'),
    "vault": (VAULT, TOKEN, "aws_region=eu", 'is for source = "aws"'),
    "aws": (("source=aws", "aws_secret_id=a"), {}, "token_file=a", 'is for source = "file"'),
    "token": (VAULT, TOKEN, "vault_role_id=a", 'is for vault_auth = "approle"'),
    "approle": (APPROLE, SECRET_ID, "vault_role=a", 'is for vault_auth = "kubernetes"'),
    "files": (
        ("source=file", "token_file=/dev/zero"),
        {},
        "client_id_file=a",
        "together with token_file",
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_a_source_must_not_have(name):
    """A key that would have no effect is a mistake: somebody meant something by it."""
    sets, env, stranger, words = STRANGERS[name]
    ((found, text),) = mistakes(*sets, stranger, env=env)
    assert found == stranger.partition("=")[0]
    assert words in text


@pytest.mark.parametrize("key", ["client_id_file", "client_secret_file"])
def test_files_that_cannot_be_used(tmp_path, key):
    """Absent, a folder, or empty: each is said."""
    other = ({"client_id_file", "client_secret_file"} - {key}).pop()
    (tmp_path / "good").write_text("x")
    (tmp_path / "empty").touch()
    for name, words in (("none", "does not exist"), ("", "is a folder"), ("empty", "is empty")):
        sets = ("source=file", f"{key}={tmp_path}/{name}", f"{other}={tmp_path}/good")
        ((found, text),) = mistakes(*sets)
        assert found == key
        assert words in text


@pytest.mark.parametrize("url", ["http://vault.example.com:8200", "https://u:pw-4S@vault", "vault"])
def test_an_address_without_encryption_or_with_a_password(url):
    """In the settings as in the variable, which is not shown."""
    ((key, text),) = mistakes("source=vault", "vault_path=a", env=TOKEN | {"VAULT_ADDR": url})
    assert key == "VAULT_ADDR"
    assert "pw-4S" not in text
    ((key, _),) = mistakes("source=vault", "vault_path=a", f"vault_address={url}", env=TOKEN)
    assert key == "vault_address"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("client_secret", "DISPATCHER_CLIENT_SECRET, or from where [credentials] says"),
        ("vault_token", "VAULT_TOKEN"),
        ("vault_secret_id", "VAULT_SECRET_ID"),
        ("token", "never written in this file"),
        ("vault_tokenfile", "did you mean credentials.vault_token_file?"),
    ],
)
def test_a_secret_in_the_file_gets_a_hint_where_it_belongs(tmp_path, key, words):
    """With the file and its line, and without the secret."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(f'[credentials]\n{key} = "hush-8D"\n')
    with pytest.raises(SettingsError) as caught:
        load(config, env=CLIENT, flags=NEEDED)
    (mistake,) = caught.value.mistakes
    assert (mistake.where, mistake.line) == (str(config), 2)
    assert words in str(mistake)
    assert "hush-8D" not in str(mistake)


def test_a_library_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    """Before a run, not in it."""
    monkeypatch.setitem(__import__("sys").modules, "hvac", None)
    ((key, text),) = mistakes(*VAULT, env=TOKEN)
    assert key == "source"
    assert "pip install 'dispatcher[vault]'" in text


def test_no_secret_in_the_settings_as_printed():
    """Not in a repr and not in what `check --show` prints."""
    loaded = settings(*APPROLE, env=SECRET_ID | TOKEN | CLIENT)
    text = repr(loaded) + describe(loaded) + repr(loaded.environment) + str(vars(loaded))
    secrets = [*SECRET_ID.values(), *TOKEN.values(), CLIENT["DISPATCHER_CLIENT_SECRET"]]
    assert not [secret for secret in secrets if secret in text]
