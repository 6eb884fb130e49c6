"""Everything that a user can set: reads it, checks it and reports all problems at once.

Values come from their defaults, the configuration file (TOML), environment variables
``DISPATCHER__SECTION__KEY``, ``--set section.key=value`` and the flags of a command; later ones
override earlier ones. Secrets are not settings: ``[credentials]`` says where they are kept.
"""

from dispatcher.settings.clients import per_client_settings, requests_per_minute, secret_variables
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.errors import SettingsError, SettingsProblem
from dispatcher.settings.ledger import LedgerPlace
from dispatcher.settings.ledger_checks import ledger_flag
from dispatcher.settings.likely_mistakes import warnings
from dispatcher.settings.listing import describe
from dispatcher.settings.loader import Purpose, load
from dispatcher.settings.model import (
    CampaignSettings,
    PlatformSettings,
    RulesSettings,
    Settings,
    SourceSettings,
)
from dispatcher.settings.source_kinds import HttpSourceSettings

__all__ = [
    "CampaignSettings",
    "CredentialsSettings",
    "HttpSourceSettings",
    "LedgerPlace",
    "PlatformSettings",
    "Purpose",
    "RulesSettings",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "SourceSettings",
    "describe",
    "ledger_flag",
    "load",
    "per_client_settings",
    "requests_per_minute",
    "secret_variables",
    "warnings",
]
