"""Everything that a user can set: read, checked, and every mistake told at once.

Values come, in rising order, from their defaults, the configuration file (TOML), environment
variables ``DISPATCHER__SECTION__KEY``, ``--set section.key=value`` and the flags of a command.
Secrets are no settings: ``[credentials]`` says where they are kept.
"""

from dispatcher.settings.clients import each_alone as each_client
from dispatcher.settings.clients import requests_per_minute, variables_of
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.cross_checks import warnings
from dispatcher.settings.errors import Mistake, SettingsError
from dispatcher.settings.loader import Purpose, load
from dispatcher.settings.model import (
    CampaignSettings,
    Engine,
    Ledger,
    Message,
    Platform,
    Retry,
    Rules,
    Settings,
    Source,
    Telemetry,
)

__all__ = [
    "CampaignSettings",
    "CredentialsSettings",
    "Engine",
    "Ledger",
    "Message",
    "Mistake",
    "Platform",
    "Purpose",
    "Retry",
    "Rules",
    "Settings",
    "SettingsError",
    "Source",
    "Telemetry",
    "each_client",
    "load",
    "requests_per_minute",
    "variables_of",
    "warnings",
]
