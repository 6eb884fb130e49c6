"""Options that name a configuration or a ledger, and the settings that follow from them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dispatcher.settings import Purpose, Settings, load

DEFAULT_CONFIG = Path("dispatcher.toml")
"""The configuration that is used, if the file exists, when none is named."""


@dataclass(frozen=True, kw_only=True)
class ConfigOptions:
    """Options that name a ledger: its file, or a configuration that names it."""

    config: Path | None
    ledger: str | None

    def ledger_path(self) -> Path:
        """Return the ledger's file."""
        if self.ledger and self.config is None:
            return Path(self.ledger)
        return self._load({}, purpose="status").ledger.path

    def _load(
        self, flags: Mapping[str, object], sets: Sequence[str] = (), *, purpose: Purpose
    ) -> Settings:
        config = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
        flags = {"ledger.path": self.ledger, **flags}
        return load(config, env=os.environ, sets=sets, flags=flags, purpose=purpose)


@dataclass(frozen=True, kw_only=True)
class LedgerOptions(ConfigOptions):
    """Options that name a ledger and a campaign."""

    campaign: str | None

    def load_settings(self) -> Settings:
        """Load the settings that name the ledger; a source and a platform may be missing."""
        return self._load({"campaign": self.campaign}, purpose="status")

    def ledger_and_campaign(self) -> tuple[Path, str | None]:
        """Return the ledger's file and the campaign; None means all campaigns."""
        if self.ledger and self.config is None:
            return Path(self.ledger), self.campaign
        settings = self.load_settings()
        if self.campaign:
            return settings.ledger.path, self.campaign
        named = settings.origin("campaign") is not None and len(settings.campaigns) == 1
        return settings.ledger.path, settings.campaign if named else None


@dataclass(frozen=True, kw_only=True)
class SettingsOptions(ConfigOptions):
    """Options that set the most used settings."""

    campaign: str | None
    source: str | None
    platform_url: str | None
    sets: tuple[str, ...]

    def load_settings(
        self, flags: Mapping[str, object] | None = None, *, purpose: Purpose = "run"
    ) -> Settings:
        """Load the settings; ``flags`` are values of further options, by key."""
        own = {
            "source.path": self.source,
            "campaign": self.campaign,
            "platform.base_url": self.platform_url,
        }
        return self._load({**own, **(flags or {})}, self.sets, purpose=purpose)
