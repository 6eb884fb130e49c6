"""Several OAuth clients in one configuration: what is taken, and every mistake in the list."""

import pytest

from dispatcher.settings import (
    SettingsError,
    describe,
    load,
    per_client_settings,
    requests_per_minute,
    secret_variables,
)

BASE = (
    'campaign = "c1"\n[source]\npath = "-"\n[message]\ntext = "Hi"\n'
    '[platform]\nbase_url = "https://api.example.com"\nrequests_per_minute = 240\n'
)
TWO = BASE + '[[clients]]\nname = "north"\n[[clients]]\nname = "south"\nrequests_per_minute = 60\n'
SECRETS = {
    "DISPATCHER_CLIENT_ID__NORTH": "id-n",
    "DISPATCHER_CLIENT_SECRET__NORTH": "secret-n",
    "DISPATCHER_CLIENT_ID__SOUTH": "id-s",
    "DISPATCHER_CLIENT_SECRET__SOUTH": "secret-s",
}
ONE = {"DISPATCHER_CLIENT_ID": "id", "DISPATCHER_CLIENT_SECRET": "secret"}


def read(tmp_path, text=TWO, *, env=SECRETS, sets=(), purpose="run"):
    config = tmp_path / "dispatcher.toml"
    config.write_text(text)
    return load(config, env=env, sets=sets, purpose=purpose)


def wrong(tmp_path, text=TWO, **how):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, **how)
    return {mistake.key: mistake for mistake in caught.value.mistakes}


def test_each_client_has_its_own_quota_and_secrets(tmp_path):
    """One without a quota has that of the platform; the whole quota is the sum."""
    settings = read(tmp_path)
    views = dict(per_client_settings(settings))
    assert {name: view.platform.requests_per_minute for name, view in views.items()} == {
        "north": 240,
        "south": 60,
    }
    assert set(secret_variables(views["north"])) < set(SECRETS)
    assert secret_variables(views["south"])[1] == "DISPATCHER_CLIENT_SECRET__SOUTH"
    assert views["south"].environment["DISPATCHER_CLIENT_ID__SOUTH"].get_secret_value() == "id-s"
    assert requests_per_minute(settings) == 300


def test_without_a_list_there_is_one_client_without_a_name(tmp_path):
    """Everything stays as it is, and is described as it was."""
    settings = read(tmp_path, BASE, env=ONE)
    ((name, view),) = per_client_settings(settings)
    assert (name, view, settings.clients) == ("", settings, ())
    assert requests_per_minute(settings) == 240
    assert "clients[" not in describe(settings)


def test_the_description_has_every_client_and_no_secret(tmp_path):
    """A quota that is not set shows as the one that counts."""
    text = describe(read(tmp_path))
    assert 'clients[1].name = "north"' in text
    assert "clients[1].requests_per_minute = 240" in text
    assert "clients[2].requests_per_minute = 60" in text
    assert 'clients[2].credentials.source = "env"' in text
    assert "secret-" not in text
    assert "id-" not in text


def test_each_variable_that_is_missing_is_named(tmp_path):
    """Those of the only client are of no use where there is a list."""
    found = wrong(tmp_path, env={**ONE, "DISPATCHER_CLIENT_ID__NORTH": "id-n"})
    assert set(found) == set(SECRETS) - {"DISPATCHER_CLIENT_ID__NORTH"}


def test_the_status_needs_no_secret_and_knows_the_quota(tmp_path):
    """It asks the platform nothing."""
    assert requests_per_minute(read(tmp_path, env={}, purpose="status")) == 300


@pytest.mark.parametrize("name", ["North", "no-rth", "1st", "", "n" * 33, "nörd", "a,b"])
def test_a_name_must_be_fit_for_a_tag(tmp_path, name):
    """It becomes a tag's value and a part of a variable's name."""
    found = wrong(tmp_path, TWO.replace('"north"', f'"{name}"'))
    assert "lower-case" in found["clients[1].name"].problem
    assert "DISPATCHER_CLIENT_ID__NORTH" not in found


@pytest.mark.parametrize(
    ("text", "key", "problem", "line"),
    [
        (TWO.replace("south", "north"), "clients[2].name", "is already the name of another", 12),
        (TWO.replace('name = "north"', ""), "clients[1].name", "is missing", 9),
        (TWO + "requests_per_minut = 5", "clients[2].requests_per_minut", "is not known", 14),
        (TWO.replace("= 60", "= 0"), "clients[2].requests_per_minute", "must be at least 1", 13),
        (TWO + 'client_secret = "hidden"', "clients[2].client_secret", "is not known", 14),
        ("clients = 5\n" + BASE, "clients", "must be a list of tables", 1),
    ],
)
def test_a_mistake_in_the_list_is_named_with_its_line(tmp_path, text, key, problem, line):
    """And a secret in the file is not shown."""
    mistake = wrong(tmp_path, text)[key]
    assert problem in mistake.problem
    assert mistake.line == line
    assert "hidden" not in str(mistake)


@pytest.mark.parametrize("key", ["clients", "clients[1].name"])
def test_the_list_is_set_in_the_file_alone(tmp_path, key):
    """A variable could not say which client it means."""
    found = wrong(tmp_path, sets=[f"{key}=x"])
    assert "[[clients]]" in found[key].hint


def test_a_client_can_keep_its_credentials_elsewhere(tmp_path):
    """Its own section counts, needs no variable, and its mistakes are named with its place."""
    for name in ("id", "secret"):
        (tmp_path / name).write_text("x")
    section = (
        f'[clients.credentials]\nsource = "file"\nclient_id_file = "{tmp_path}/id"\n'
        f'client_secret_file = "{tmp_path}/secret"\n'
    )
    north = {name: value for name, value in SECRETS.items() if name.endswith("NORTH")}
    views = dict(per_client_settings(read(tmp_path, TWO + section, env=north)))
    assert views["north"].credentials.source == "env"
    assert views["south"].credentials.client_id_file == f"{tmp_path}/id"
    found = wrong(tmp_path, TWO + section.replace("/secret", "/nowhere"), env=north)
    assert list(found) == ["clients[2].credentials.client_secret_file"]
    assert found["clients[2].credentials.client_secret_file"].line == 17
