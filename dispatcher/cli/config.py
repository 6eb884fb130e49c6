"""From a command's options to settings."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dispatcher.settings import Purpose, Settings, load

DEFAULT_CONFIG = Path("dispatcher.toml")
"""The configuration that is taken, if it is there, when none is named."""

_FLAGS = {
    "source": "source.path",
    "ledger": "ledger.path",
    "campaign": "campaign",
    "platform_url": "platform.base_url",
    "wait_limit": "engine.wait_limit_seconds",
    "log_format": "telemetry.log_format",
}


def load_settings(given: Mapping[str, Any], *, purpose: Purpose = "run") -> Settings:
    """Load the settings that a command's options name."""
    flags = {key: given.get(option) for option, key in _FLAGS.items()}
    config = given.get("config") or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
    return load(config, env=os.environ, sets=given.get("sets", ()), flags=flags, purpose=purpose)
