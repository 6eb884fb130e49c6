"""The settings of the page."""

import pytest

from dispatcher.settings import Purpose, SettingsError, load

BASE = 'campaign = "a"\n[source]\npath = "{folder}/c.csv"\n[platform]\nbase_url = "http://127.0.0.1:1"\n'
ENV = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
PURPOSE: Purpose = "run"


@pytest.fixture
def read(tmp_path):
    (tmp_path / "c.csv").write_text("conversation_id\n")
    config = tmp_path / "dispatcher.toml"
    config.write_text(BASE.format(folder=tmp_path))

    def read(*sets, env=()):
        return load(config, env={**ENV, **dict(env)}, sets=sets, purpose=PURPOSE)

    return read


def test_it_is_off_on_this_machine_and_reads_only(read):
    """By default there is no page."""
    settings = read()
    telemetry = settings.telemetry
    assert (telemetry.page_port, telemetry.page_host) == (0, "127.0.0.1")
    assert settings.control.page is False


OPEN = ("telemetry.page_port=8080", "telemetry.page_host=0.0.0.0")


def test_elsewhere_it_needs_a_token(read, tmp_path):
    """A file or a variable, that is there and has something."""
    with pytest.raises(SettingsError, match=r"page_token_file.*is not loopback"):
        read(*OPEN)
    with pytest.raises(SettingsError, match=r"PAGE_TOKEN.*is not set"):
        read(*OPEN, "telemetry.page_token_variable=PAGE_TOKEN", env={"PAGE_TOKEN": " "})
    file = tmp_path / "token"
    name = f"telemetry.page_token_file={file}"
    with pytest.raises(SettingsError, match="is not a file"):
        read(*OPEN, name)
    file.write_text("")
    with pytest.raises(SettingsError, match="is empty"):
        read(*OPEN, name)
    file.write_text("t0ken")
    assert read(*OPEN, name).telemetry.page_token_file == str(file)
    found = read(*OPEN, "telemetry.page_token_variable=PAGE_TOKEN", env={"PAGE_TOKEN": "x"})
    assert found.environment["PAGE_TOKEN"].get_secret_value() == "x"
    with pytest.raises(SettingsError, match="are both set"):
        read(*OPEN, name, "telemetry.page_token_variable=PAGE_TOKEN", env={"PAGE_TOKEN": "x"})
