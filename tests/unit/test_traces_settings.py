"""What turns traces on, and what a user is shown whose traces cannot be sent."""

from contextlib import AsyncExitStack

import pytest
from click.testing import CliRunner

from dispatcher.app.traces import open_tracing
from dispatcher.cli import cli
from dispatcher.settings import SettingsError, file_checks, load

ENV = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
CONFIG = 'campaign = "c1"\n[source]\npath = "-"\n[platform]\nbase_url = "https://a.example"\n'


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Check a configuration with some lines in [telemetry]; return the code and what was said."""
    monkeypatch.chdir(tmp_path)
    for name in ("OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        monkeypatch.delenv(name, raising=False)

    def run(*lines, command=("check",), **environ):
        config = tmp_path / "dispatcher.toml"
        config.write_text(CONFIG + "\n".join(["[telemetry]", *lines]) + "\n")
        result = CliRunner(env={**ENV, **environ}).invoke(
            cli, [*command, "--config", str(config)], catch_exceptions=True
        )
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize("command", [("check",), ("run", "--once")])
def test_a_missing_extra_is_a_mistake_with_its_line_and_remedy(check, monkeypatch, command):
    """A run does not start without what it was asked for."""
    monkeypatch.setattr(file_checks, "is_installed", lambda _: False)
    code, output = check("trace_share = 0.1", command=command)
    assert code == 2
    assert "dispatcher.toml:7" in output
    assert "telemetry.trace_share" in output
    assert "pip install 'dispatcher[otel]'" in output


def test_without_traces_the_extra_is_not_needed(check, monkeypatch):
    monkeypatch.setattr(file_checks, "is_installed", lambda _: False)
    assert check()[0] == 0


@pytest.mark.parametrize("share", ["-0.1", "1.1", '"all"'])
def test_a_share_is_a_number_from_0_to_1(check, share):
    code, output = check(f"trace_share = {share}")
    assert code == 2
    assert "telemetry.trace_share" in output


@pytest.mark.parametrize(
    ("line", "environ", "words"),
    [
        ('trace_endpoint = "agent:4318"', {}, "telemetry.trace_endpoint"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "agent:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_an_unusable_address_is_a_mistake_only_while_traces_are_on(check, line, environ, words):
    code, output = check("trace_share = 1", line, **environ)
    assert code == 2
    assert words in output
    assert check(line, **environ)[0] == 0
    assert check("trace_share = 1", line, OTEL_SDK_DISABLED="true", **environ)[0] == 0


def test_variables_that_the_exporter_refuses_are_a_mistake(monkeypatch, tmp_path):
    """Its message may quote their values."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "hidden")
    config = tmp_path / "dispatcher.toml"
    config.write_text(CONFIG + "[telemetry]\ntrace_share = 1\n")
    with pytest.raises(SettingsError, match="RuntimeError") as error:
        open_tracing(load(config, env=ENV), AsyncExitStack())
    assert "OTEL_EXPORTER_OTLP_*" in str(error.value)
    assert "hidden" not in str(error.value)
