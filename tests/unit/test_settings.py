"""Settings: where values come from, which wins, and what may be written."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.settings import Settings, SettingsError, describe, load, warnings
from dispatcher.settings.key_paths import known
from dispatcher.settings.source_kinds import (
    SECTIONS,
    HttpSourceSettings,
    KafkaSettings,
    ObjectStoreSettings,
    SqlSettings,
)
from dispatcher.settings.toml_format import as_toml

SECRETS = {"DISPATCHER_CLIENT_ID": "the-id-7F", "DISPATCHER_CLIENT_SECRET": "the-secret-9Q"}
NEEDED = 'campaign = "c1"\n[source]\npath = "-"\n[platform]\nbase_url = "https://api.example.com"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dispatcher.toml"
    path.write_text(NEEDED)
    return path


def read(config: Path, *sets: str, env: dict[str, str] | None = None, **flags: object) -> Settings:
    return load(config, env=SECRETS | (env or {}), sets=sets, flags=flags)


def test_the_least_config_is_enough(config):
    """Campaign, source and address are needed, everything else has a default."""
    settings = read(config)
    assert settings.campaign == "c1"
    assert settings.platform.requests_per_minute == 300
    assert settings.engine.workers == 64
    assert settings.ledger.path == Path("ledger.db")
    assert settings.client_secret.get_secret_value() == "the-secret-9Q"


def test_later_sources_override_earlier_ones(config):
    """File, environment, --set, flag: the later one wins, and describe() names it."""
    env = {"DISPATCHER__ENGINE__WORKERS": "2"}
    key = "engine.workers"
    assert read(config).origin(key) is None
    config.write_text(NEEDED + "[engine]\nworkers = 1\n")
    assert (read(config).engine.workers, read(config).origin(key).line) == (1, 7)
    assert read(config, env=env).engine.workers == 2
    third = read(config, "engine.workers=3", env=env)
    assert (third.engine.workers, str(third.origin(key))) == (3, "--set")
    fourth = read(
        config, "platform.base_url=https://a.example", **{"platform.base_url": "https://b.example"}
    )
    assert fourth.platform.base_url == "https://b.example"
    assert str(fourth.origin("platform.base_url")) == "--platform-url"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("platform.timeout_seconds=2.5", "platform.timeout_seconds", 2.5),
        ("source.watch=false", "source.watch", False),
        ("campaign=2026", "campaign", "2026"),
        ("campaign=2026-11-22", "campaign", "2026-11-22"),
        ('campaign="quoted"', "campaign", "quoted"),
        ('platform.scopes=["a", "b"]', "platform.scopes", ("a", "b")),
        ("source.columns.conversation_id=CONVERSATIONID", "source.columns",
         {"conversation_id": "CONVERSATIONID"}),
        ("source.filter.status=1", "source.filter", {"status": ("1",)}),
        ('source.filter={"a.b" = ["x", "y"]}', "source.filter", {"a.b": ("x", "y")}),
        ("source.filter.Kind of cart=open", "source.filter", {"Kind of cart": ("open",)}),
        ("message.text=Hello {name}, 100% off", "message.text", "Hello {name}, 100% off"),
    ],
)  # fmt: skip
def test_set_takes_toml_or_else_text(config, text, key, value):
    """A value is a TOML literal where the key takes one, and a plain text where it takes that."""
    found: object = read(config, text)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_environment_reads_like_set(config):
    """Two underscores separate section and key, and values are written as for --set."""
    env = {
        "DISPATCHER__SOURCE__COLUMNS__CONTACT_KEY": "ID",
        "DISPATCHER__PLATFORM__SCOPES": '["a"]',
        "DISPATCHER__CAMPAIGN": "7",
    }
    settings = read(config, env=env)
    assert settings.source.columns == {"contact_key": "ID"}
    assert settings.platform.scopes == ("a",)
    assert settings.campaign == "7"


def test_tables_of_columns_are_merged(config):
    """One column can be mapped in the file and another one by --set."""
    config.write_text(NEEDED.replace("[platform]", 'columns = { address = "A" }\n[platform]'))
    assert read(config, "source.columns.text=T").source.columns == {"address": "A", "text": "T"}


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:80", "http://localhost:8080/",
     "https://api.example.com/"],
)  # fmt: skip
def test_https_or_loopback(config, url):
    """Without encryption only this machine is talked to; a slash at the end is taken off."""
    assert read(config, f"platform.base_url={url}").platform.base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["http://api.example.com", "http://127.0.0.1.example.com", "http://localhost.example.com",
     "https://api.example.com/v2", "https://api.example.com?x=1", "https://me:pw@api.example.com",
     "ftp://api.example.com", "api.example.com", "https://", "https://a:99999", "http://10.0.0.1"],
)  # fmt: skip
def test_other_addresses_are_refused(config, url):
    """Neither plain http to elsewhere, nor anything behind host and port; passwords stay hidden."""
    with pytest.raises(SettingsError) as caught:
        read(config, f"platform.base_url={url}")
    (mistake,) = caught.value.mistakes
    assert mistake.key == "platform.base_url"
    assert "pw" not in str(caught.value)


def test_secrets_are_never_shown(config):
    """Neither repr, str, describe nor an error has the client's id or secret in it."""
    settings = read(config, "platform.proxy=http://user:proxy-pw@proxy.example:3128")
    shown = "\n".join([repr(settings), str(settings), describe(settings), repr(vars(settings))])
    assert "the-id-7F" not in shown
    assert "the-secret-9Q" not in shown
    assert "proxy-pw" not in describe(settings) + repr(settings)
    with pytest.raises(SettingsError) as caught:
        read(config, "client_secret=the-secret-9Q", "platform.client_id=the-id-7F", "x.y=z")
    assert "the-secret-9Q" not in repr(caught.value) + str(caught.value)
    assert "the-id-7F" not in repr(caught.value) + str(caught.value)


def test_describe_names_every_key_once(config):
    """describe() is complete, and says what is a default."""
    text = describe(read(config))
    for path in known():
        is_shown = path[:2] not in {("source", kind) for kind in SECTIONS}
        assert text.count(f"{'.'.join(path)} = ") == is_shown
    assert 'campaign = "c1"' in text
    assert f"{config}:1" in text
    assert "# default" in text


def test_settings_cannot_be_changed(config):
    """What was checked stays as it is."""
    settings = read(config)
    with pytest.raises(ValueError, match="frozen"):
        settings.engine.workers = 3


def test_status_needs_the_ledger_alone(tmp_path):
    """To read a ledger neither credentials nor a source are needed."""
    path = tmp_path / "other.toml"
    path.write_text('campaign = "c2"\n[ledger]\npath = "other.db"\n')
    settings = load(path, env={}, purpose="status")
    assert (settings.campaign, settings.ledger.path) == ("c2", Path("other.db"))


def test_the_shipped_config_is_the_defaults():
    """config/dispatcher.toml names every key, with the value that holds without it."""
    shipped = Path(__file__).parents[2] / "config" / "dispatcher.toml"
    settings = load(shipped, env=SECRETS, sets=["source.path=-"])
    least = load(
        None,
        env=SECRETS,
        flags={
            "campaign": settings.campaign,
            "source.path": "-",
            "message.text": settings.message.text,
            "platform.base_url": settings.platform.base_url,
        },
    )
    assert settings.message.text, "the example sends nothing"
    assert settings == least or settings.model_dump() == least.model_dump()
    text = shipped.read_text()
    for path in known():
        mark = "# " if len(path) > 2 else ""  # a section for one kind of source is a comment
        assert f"\n{mark}{path[-1]} = " in text


@pytest.mark.parametrize(
    ("section", "model"),
    [
        ("objects", ObjectStoreSettings),
        ("sql", SqlSettings),
        ("kafka", KafkaSettings),
        ("http", HttpSourceSettings),
    ],
)
def test_the_sections_of_kinds_are_shipped_as_comments_with_their_defaults(section, model):
    """Who takes the comment signs away has changed nothing yet."""
    shipped = Path(__file__).parents[2] / "config" / "dispatcher.toml"
    _, _, rest = shipped.read_text().partition(f"# [source.{section}]\n")
    block = rest.partition("\n\n")[0].splitlines()
    lines = [line.removeprefix("# ") for line in block if re.match(r"# \w+ = ", line)]
    shipped_values = model.model_validate(tomllib.loads("\n".join(lines)))
    for name, field in model.model_fields.items():
        assert field.is_required() or getattr(shipped_values, name) == field.default
    assert len(lines) == len(model.model_fields)


def test_warnings_name_what_was_perhaps_not_meant(config):
    """An open health port and rows without a text are reported, and nothing else."""
    quiet = read(config, "message.text=Hello")
    assert warnings(quiet) == []
    loud = read(config, "telemetry.health_host=0.0.0.0", "telemetry.health_port=8099")
    assert [w.split()[0] for w in warnings(loud)] == ["message.text", "telemetry.health_host"]
    hasty = read(
        config, "message.text=Hello", "platform.states_per_call=65", "retry.engaged_max_minutes=0.5"
    )
    assert [w.split()[0] for w in warnings(hasty)] == [
        "platform.states_per_call",
        "retry.engaged_max_minutes",
    ]


@given(
    st.recursive(
        st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_described_values_are_toml(value):
    """What describe() prints can be read back as TOML."""
    assert tomllib.loads(f"v = {as_toml(value)}")["v"] == value
