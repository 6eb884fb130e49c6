"""How the runs of a world are started: their command line, and the file of several campaigns."""

from typing import Any

from tests.support.crash_platform import TIMEOUT_SECONDS, reconcile_settings
from tests.support.crash_points import DRAIN
from tests.support.dialects import settings_for
from tests.support.scenario_runner import QUICK

NO_STATSD = 9
_FEW = {"engine.workers": 8}
"""Few workers leave much lying ready, which a drain then gives back."""
_ALIKE = {"alike_columns": '["session_status"]', "age_column": '"session_ended_at"'}
_FOLDER = {"source.watch": "true", "source.poll_seconds": 0.1, "source.stable_seconds": 0.1}


def run_arguments(lived: Any, spec: str, source: str) -> list[str]:
    """Return the command line of a run up to its point ``spec``; ``source`` replaces the file."""
    given = {
        **QUICK,
        "message.text": "Hello {first_name}",
        "platform.timeout_seconds": TIMEOUT_SECONDS,
        "platform.connect_timeout_seconds": TIMEOUT_SECONDS,
        "platform.requests_per_minute": 1_200_000,
        "platform.window_seconds": 1,
        "telemetry.statsd_port": NO_STATSD,
        "telemetry.log_file": str(lived.folder / "dispatcher.log"),
        "telemetry.log_level": "error",
        "retry.max_attempts": 12,
        "engine.wait_limit_seconds": 3,
        "retry.not_ended_max_minutes": 5,
        **(_FOLDER if lived.source == "folder" else {}),
        **(lived.remote.settings if lived.remote is not None else {}),
        **(_FEW if spec.partition(":")[0] in DRAIN else {}),
        **lived.ledger.settings,
        **_state_file(lived),
        **_first_call(lived),
        **reconcile_settings(stragglers=lived.stragglers),
        **settings_for(lived.dialect, lived.sandbox.url),
    }
    argv = ["run", "--ledger", lived.ledger.place, "--platform-url", lived.sandbox.url]
    if len(lived.campaigns) > 1:
        argv += ["--config", str(lived.config)]
    else:
        argv += ["--campaign", *lived.campaigns]
        argv += [] if lived.remote is not None else ["--source", source or _path(lived)]
    argv += [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    return argv


def campaigns_file(lived: Any) -> str:
    """Return the configuration of the campaigns of a world, which have the same source."""
    return "".join(
        f'[[campaigns]]\nname = "{name}"\n[campaigns.source]\npath = "{_path(lived)}"\n'
        + "".join(f"{key} = {value}\n" for key, value in _alike(lived).items())
        for name in lived.campaigns
    )


def _alike(lived: Any) -> dict[str, str]:
    """What says which rows are alike, as TOML."""
    return _ALIKE if lived.first_call == "learn" else {}


def _first_call(lived: Any) -> dict[str, str]:
    """Settings with which opens are sent without a state check, and notifications, too."""
    learn = {"platform.first_call": lived.first_call}
    if lived.first_call == "learn" and lived.dialect == "messaging":
        learn["rules.identity"] = "row"
    if len(lived.campaigns) == 1:
        learn |= {f"source.{key}": value for key, value in _alike(lived).items()}
    return learn


def _state_file(lived: Any) -> dict[str, str]:
    """Keep the last state that this machine has committed to a database beside the world."""
    if lived.ledger.kind == "file":
        return {}
    return {"ledger.state_file": str(lived.folder / "state.json")}


def _path(lived: Any) -> str:
    patterns = {"file": "all.csv", "glob": "*.csv*", "folder": ""}
    return str(lived.inputs / patterns[lived.source])
