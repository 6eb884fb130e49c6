"""Settings of a ledger: a file, or a database of PostgreSQL."""

from pathlib import Path

import pytest

from dispatcher.settings import SettingsError, describe, load, warnings
from dispatcher.settings.ledger import database_of, hosts_of

URL = "postgresql://dispatcher@db-1.example.com,db-2.example.com:5433/ledger?sslmode=verify-full"


def problems(tmp_path, *lines, flags=None, purpose="status"):
    """Return the problems of a configuration with these lines of [ledger], as people read them."""
    config = tmp_path / "dispatcher.toml"
    config.write_text("\n".join(('campaign = "c"', "[ledger]", *lines)))
    try:
        load(config, env={}, flags=flags, purpose=purpose)
    except SettingsError as error:
        return [str(problem).replace(f"{tmp_path}/", "") for problem in error.mistakes]
    return []


def test_a_url_is_the_ledger(tmp_path):
    """All keys of a database are accepted, and the listing has the URL, which has no secret."""
    keys = (
        f'url = "{URL}"',
        'password_variable = "PASSWORD"',
        'durable = "replicated"',
        "pooler = true",
        "away_minutes = 5",
        "lease_seconds = 4",
        "share_clients = true",
    )
    assert problems(tmp_path, *keys) == []
    settings = load(tmp_path / "dispatcher.toml", env={"PASSWORD": "hidden"}, purpose="status")
    assert settings.environment["PASSWORD"].get_secret_value() == "hidden"
    assert f'ledger.url = "{URL}"' in describe(settings)
    assert "hidden" not in describe(settings) + repr(settings)
    assert hosts_of(URL) == ["db-1.example.com", "db-2.example.com"]
    assert database_of(URL) == "ledger"


@pytest.mark.parametrize(
    ("user", "kept"),
    [("dispatcher@", True), ("dispa%74cher@", True), ("dispatcher_read@", False), ("", False)],
)
def test_the_password_of_the_configuration_is_that_of_its_user(tmp_path, user, kept):
    """It is not sent for another user, whom --ledger names; a password of the environment is."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(f'campaign = "c"\nledger = {{ url = "{URL}", password_file = "/run/owner" }}')
    flags = {"ledger.url": f"postgresql://{user}db-1.example.com/ledger"}
    found = load(config, env={}, flags=flags, purpose="status").ledger
    assert found.password_file == ("/run/owner" if kept else "")
    env = {"DISPATCHER__LEDGER__PASSWORD_FILE": "/run/reader"}
    found = load(config, env=env, flags=flags, purpose="status").ledger
    assert found.password_file == "/run/reader"


@pytest.mark.parametrize(
    "secret",
    [
        "postgresql://u:hidden@h/d",
        "postgres://u:hid%2Fden@h/d",
        "postgresql://u:hid/den@h/d",
        "postgresql://u:hid?den@h/d",
        "postgresql://u@h/d?password=hidden",
        "postgresql://u@h/d?sslpassword=hidden",
        "postgresql://u@h/d?pass%77ord%3Dhidden&password%3Dhidden",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_shown(tmp_path, secret):
    (problem,) = problems(tmp_path, f'url = "{secret}"')
    assert problem == (
        "dispatcher.toml:3: ledger.url has a password (set ledger.password_file or "
        "ledger.password_variable, and remove it from the URL)"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u@h/d", "is not a URL of PostgreSQL"),
        ("ledger.db", "is not a URL of PostgreSQL"),
        ("postgresql+psycopg://u@h/d", 'write "postgresql://"'),
        ("postgresql://u@h", "names no database"),
        ("postgresql://u@h/", "names no database"),
    ],
)
def test_a_url_that_is_none_is_refused(tmp_path, url, words):
    (problem,) = problems(tmp_path, f'url = "{url}"')
    assert problem.startswith("dispatcher.toml:3: ledger.url ")
    assert words in problem


@pytest.mark.parametrize("url", ["postgresql:///d?host=/run", "postgresql://?service=s"])
def test_libpq_finds_the_server_by_itself(tmp_path, url):
    assert problems(tmp_path, f'url = "{url}"') == []


def test_a_ledger_is_a_file_or_a_database(tmp_path):
    """Also a path that is the default one is refused beside a URL."""
    assert problems(tmp_path, 'path = "ledger.db"', f'url = "{URL}"') == [
        (
            "dispatcher.toml:3: ledger.path is set together with ledger.url, which names a "
            "database (a ledger is a file or a database; keep one)"
        )
    ]
    assert problems(tmp_path, "lease_seconds = 5") == [
        (
            "dispatcher.toml:3: ledger.lease_seconds is only for a ledger in a database (delete "
            "it, or set ledger.url)"
        )
    ]
    both = problems(tmp_path, f'url = "{URL}"', 'password_file = "a"', 'password_variable = "B"')
    assert both == [
        (
            "dispatcher.toml:4: ledger.password_file is set together with ledger.password_variable "
            "(keep one of the two)"
        )
    ]
    assert problems(tmp_path, f'url = "{URL}"', 'password = "p"') == [
        (
            "dispatcher.toml:4: ledger.password is not known (set ledger.password_file or "
            "ledger.password_variable)"
        )
    ]


def test_a_run_needs_the_password(tmp_path):
    """The file must be there, and the variable be set."""
    file = problems(tmp_path, f'url = "{URL}"', 'password_file = "/no"', purpose="run")
    assert any(
        p.startswith('dispatcher.toml:4: ledger.password_file is not a file: "/') for p in file
    )
    variable = problems(tmp_path, f'url = "{URL}"', 'password_variable = "PW"', purpose="run")
    assert "environment: PW is not set (export PW=... before the command)" in variable


def test_the_driver_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("dispatcher.settings.ledger_checks.is_installed", lambda _: False)
    assert problems(tmp_path, f'url = "{URL}"') == [
        (
            "dispatcher.toml:3: ledger.url needs the library psycopg (pip install "
            "'dispatcher[postgres]')"
        )
    ]


def test_the_option_replaces_the_ledger_of_the_configuration(tmp_path):
    """``--ledger`` names the other kind, too, and then keys of the first one do not matter."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(f'campaign = "c"\n[ledger]\nurl = "{URL}"\npooler = true\n')
    settings = load(config, env={}, flags={"ledger.path": "other.db"}, purpose="status")
    assert (settings.ledger.url, settings.ledger.pooler) == ("", False)
    config.write_text('campaign = "c"\n[ledger]\npath = "ledger.db"\n')
    settings = load(config, env={}, flags={"ledger.url": URL}, purpose="status")
    assert settings.ledger.url == URL


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u@db-1,db-2/d", "db-1, db-2"),
        ("postgresql://u@db-1/d?sslmode=prefer", "db-1"),
        ("postgresql://u@db-1/d?sslmode=verify-full", None),
        ("postgresql://u@127.0.0.1,[::1]:5432/d", None),
        ("postgresql:///d?host=/run/postgresql", None),
    ],
)
def test_plain_text_is_a_warning(tmp_path, url, hosts):
    settings = load(env={}, flags={"ledger.url": url}, purpose="status")
    found = [w for w in warnings(settings) if w.startswith("ledger.url")]
    expected = (
        f"ledger.url: connections to {hosts} may be in plain text; add sslmode=verify-full and "
        "sslrootcert=FILE to the URL (docs/ledger-postgres.md, TLS)"
    )
    assert found == ([] if hosts is None else [expected])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"ledger.url": URL}, Path("ledger-ledger-state.json")),
        ({"ledger.url": URL, "ledger.state_file": "/var/lib/state"}, Path("/var/lib/state")),
        ({"ledger.url": URL, "ledger.state_file": "off"}, None),
        ({"ledger.path": "ledger.db"}, None),
    ],
)
def test_where_a_machine_keeps_the_last_state_of_a_database(flags, expected):
    assert load(env={}, flags=flags, purpose="status").ledger.local_state == expected
