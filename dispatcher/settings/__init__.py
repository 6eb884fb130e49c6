"""Everything that a user can set: read, checked, and every mistake told at once.

Values come, in rising order, from their defaults, the configuration file (TOML), environment
variables ``DISPATCHER__SECTION__KEY``, ``--set section.key=value`` and the flags of a command.
Secrets are no settings: ``[credentials]`` says where they are kept.
"""

from dispatcher.settings.clients import per_client_settings as each_client
from dispatcher.settings.clients import requests_per_minute, variables_of
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.cross_checks import warnings
from dispatcher.settings.errors import SettingsError, SettingsProblem
from dispatcher.settings.loader import Purpose, load
from dispatcher.settings.model import (
    CampaignSettings,
    EngineSettings,
    LedgerSettings,
    MessageSettings,
    PlatformSettings,
    RetrySettings,
    RulesSettings,
    Settings,
    SourceSettings,
    TelemetrySettings,
)

__all__ = [
    "CampaignSettings",
    "CredentialsSettings",
    "EngineSettings",
    "LedgerSettings",
    "MessageSettings",
    "PlatformSettings",
    "Purpose",
    "RetrySettings",
    "RulesSettings",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "SourceSettings",
    "TelemetrySettings",
    "each_client",
    "load",
    "requests_per_minute",
    "variables_of",
    "warnings",
]
