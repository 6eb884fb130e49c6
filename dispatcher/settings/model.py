"""The settings themselves: every key, its default and its bounds."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, SecretStr

from dispatcher.platforms.genesys.requests import Lineage, Messenger
from dispatcher.ports import MAX_STATES_PER_CALL
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.errors import SettingOrigin
from dispatcher.settings.field_types import (
    Alias,
    BaseUrl,
    Campaign,
    Delimiter,
    Filter,
    Port,
    Proxy,
    Quiet,
    Region,
    TemplateText,
    Text,
    Texts,
    Timezone,
    without_userinfo,
)
from dispatcher.settings.section import SettingsSection
from dispatcher.settings.toml_format import as_toml

Column = Literal[
    "conversation_id",
    "contact_key",
    "external_contact_id",
    "address",
    "text",
    "subject",
    "not_before",
    "expires_at",
]
"""The columns that have a meaning; every other one is an attribute."""


class MessageSettings(SettingsSection):
    """What is sent when the row brings no text of its own; empty: every row must bring one."""

    text: TemplateText = ""
    subject: TemplateText = ""


class SourceSettings(SettingsSection):
    """Where contacts are read from."""

    path: Text
    format: Literal["auto", "csv", "jsonl"] = "auto"
    watch: bool = False
    poll_seconds: float = Field(default=1.0, ge=0.05, le=3600)
    stable_seconds: float = Field(default=2.0, ge=0, le=86400)
    delimiter: Delimiter = "auto"
    max_record_lines: int = Field(default=100, ge=1, le=100_000)
    timezone: Timezone = "UTC"
    columns: dict[Column, Text] = Field(default_factory=dict)
    filter: Filter = Field(default_factory=dict)


class RulesSettings(SettingsSection):
    """Who of a campaign is not written to, or not now, and when the campaign stops."""

    one_per_person: bool = True
    quiet_hours: Quiet = ""
    timezone: Timezone = "UTC"
    timezone_column: str = ""
    cap_messages: int = Field(default=0, ge=0, le=1000)
    cap_hours: float = Field(default=24.0, gt=0, le=87_600)
    suppression_file: str = ""
    stop_failed_share: float = Field(default=0.0, ge=0, lt=1)
    stop_failed_of: int = Field(default=100, ge=1, le=1_000_000)


class CampaignSettings(SettingsSection):
    """One of ``[[campaigns]]``: what is its own, and what it gets of the workers.

    ``share`` counts among campaigns that share fairly, ``priority`` where the highest goes first.
    """

    name: Campaign
    source: SourceSettings
    message: MessageSettings = MessageSettings()
    rules: RulesSettings = RulesSettings()
    priority: int = Field(default=0, ge=-1000, le=1000)
    share: float = Field(default=1.0, ge=0.001, le=1000)


class PlatformSettings(SettingsSection):
    """The API that is called, and its quota."""

    dialect: Literal["messaging", "genesys"] = "messaging"
    base_url: BaseUrl = ""
    region: Region = ""
    login_url: BaseUrl = ""
    from_address: str = ""
    messenger: Messenger = "webmessaging"
    template: str = ""
    template_parameter: str = ""
    barge_in: Literal["never", "customer-only", "always"] = "never"
    lineage: Lineage = "none"
    states_per_call: int = Field(default=1, ge=1, le=MAX_STATES_PER_CALL)
    requests_per_minute: int = Field(default=300, ge=1, le=10_000_000)
    window_seconds: float = Field(default=60.0, ge=0.1, le=86400)
    timeout_seconds: float = Field(default=10.0, ge=0.05, le=600)
    connect_timeout_seconds: float = Field(default=5.0, ge=0.05, le=600)
    write_scopes_any_of: Texts = (
        "conversations:messaging:write",
        "messaging:conversation:write",
    )
    read_scopes_any_of: Texts = ()
    scopes: Texts = ()
    missing_conversation: Literal["reject", "open-unlinked"] = "reject"
    proxy: Proxy = Field(default="", repr=False)
    ca_bundle: str = ""


class ClientSettings(SettingsSection):
    """One of ``[[clients]]``; without a quota of its own it has that of ``[platform]``."""

    name: Alias
    requests_per_minute: int | None = Field(default=None, ge=1, le=10_000_000)
    credentials: CredentialsSettings = CredentialsSettings()


class LedgerSettings(SettingsSection):
    """Where the durable record of every contact's progress is kept."""

    path: Path = Field(default=Path("ledger.db"), strict=False)


class ControlSettings(SettingsSection):
    """Where the running dispatcher takes orders."""

    socket: str = ""


class EngineSettings(SettingsSection):
    """How much is done at a time, and how long a stop or a halt may take."""

    workers: int = Field(default=64, ge=1, le=10_000)
    drain_seconds: float = Field(default=30.0, ge=0, le=3600)
    probe_seconds: float = Field(default=15.0, ge=0.05, le=3600)
    wait_limit_seconds: float = Field(default=60.0, ge=0, le=604_800)
    sharing: Literal["fair", "priority"] = "fair"


class RetrySettings(SettingsSection):
    """The bounds of all retrying."""

    max_attempts: int = Field(default=8, ge=1, le=1000)
    loop_after: int = Field(default=3, ge=1, le=100)
    not_ended_seconds: float = Field(default=5.0, ge=0, le=86400)
    not_ended_max_minutes: float = Field(default=60.0, ge=0, le=10_080)
    engaged_seconds: float = Field(default=60.0, ge=0, le=86400)
    engaged_max_minutes: float = Field(default=1440.0, ge=0, le=525_600)
    backoff_seconds: float = Field(default=1.0, ge=0.001, le=3600)
    backoff_max_seconds: float = Field(default=300.0, ge=0.001, le=86400)


class ReconcileSettings(SettingsSection):
    """What is assumed of the platform when a send had no clear answer."""

    delivery: Literal["at-most-once", "at-least-once"] = "at-most-once"
    max_effect_delay_seconds: float = Field(default=60.0, ge=0, le=86400)
    max_lag_seconds: float = Field(default=120.0, ge=0, le=86400)
    clock_skew_seconds: float = Field(default=5.0, ge=0, le=3600)
    look_seconds: float = Field(default=10.0, ge=0.05, le=3600)
    give_up_hours: float = Field(default=24.0, ge=0, le=8760)


class TelemetrySettings(SettingsSection):
    """Metrics, logs and the health address."""

    statsd_host: str = "127.0.0.1"
    statsd_port: Port = 8125
    statsd_socket: str = ""
    log_format: Literal["auto", "json", "console"] = "auto"
    log_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    health_host: Text = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65535)


class Settings(SettingsSection):
    """All settings of one run; made by `dispatcher.settings.load`.

    ``campaigns`` is never empty. ``campaign`` and the sections of one campaign are those of the
    first; `only` gives the settings as they are for another. ``clients`` is empty where there is
    but one OAuth client.
    """

    campaign: Campaign
    message: MessageSettings = MessageSettings()
    source: SourceSettings
    platform: PlatformSettings = PlatformSettings()
    credentials: CredentialsSettings = CredentialsSettings()
    ledger: LedgerSettings = LedgerSettings()
    control: ControlSettings = ControlSettings()
    engine: EngineSettings = EngineSettings()
    retry: RetrySettings = RetrySettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    rules: RulesSettings = RulesSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    campaigns: Annotated[tuple[CampaignSettings, ...], Field(strict=False)] = ()
    clients: Annotated[tuple[ClientSettings, ...], Field(strict=False)] = ()
    client_id: SecretStr = SecretStr("")
    client_secret: SecretStr = SecretStr("")
    _origins: Mapping[str, SettingOrigin] = PrivateAttr(default_factory=dict)
    _environment: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)

    def with_environment(self, env: Mapping[str, str]) -> "Settings":
        """Return these settings, with the variables that credential sources may read."""
        copy = self.model_copy()
        found = {name: SecretStr(env[name]) for name in env if name.startswith(SECRET_VARIABLES)}
        copy._environment = found  # noqa: SLF001 - a copy of its own kind
        return copy

    @property
    def environment(self) -> Mapping[str, SecretStr]:
        """The variables that credential sources may read."""
        return self._environment

    def with_origins(self, origins: Mapping[str, SettingOrigin]) -> "Settings":
        """Return these settings, with where each key was set."""
        copy = self.model_copy()
        copy._origins = dict(origins)  # noqa: SLF001 - a copy of its own kind
        return copy

    def only(self, campaign: CampaignSettings) -> "Settings":
        """Return these settings as they are for one campaign."""
        own = {name: getattr(campaign, name) for name in CAMPAIGN_SECTIONS}
        return self.model_copy(update={"campaign": campaign.name, "campaigns": (campaign,), **own})

    @property
    def title(self) -> str:
        """The names of all campaigns, for people."""
        return ", ".join(campaign.name for campaign in self.campaigns)

    def origin(self, key: str) -> SettingOrigin | None:
        """Return where ``key`` (as in ``platform.base_url``) was set; None: it is the default."""
        below = f"{key}."
        found = [o for k, o in self._origins.items() if k == key or k.startswith(below)]
        return found[-1] if found else None

    def described(self) -> Iterator[tuple[str, str, str]]:
        """Yield every key, its value as TOML writes it, and where it was set. No secrets."""
        listed = any(key.startswith("campaigns[") for key in self._origins)
        for name, value in self:
            if name in ("campaign", "source") if listed else name == "campaigns":
                continue
            if name == "campaigns":
                yield from self._described_campaigns()
            elif name == "clients":
                yield from self._described_clients()
            elif name in SECRETS and self.credentials.source != "env":
                continue
            elif name in SECRETS:
                if self.clients:
                    continue
                yield name, "(set)" if value.get_secret_value() else "(not set)", "environment"
            elif isinstance(value, SettingsSection):
                for field, inner in value:
                    yield self._described(f"{name}.{field}", inner)
            else:
                yield self._described(name, value)

    def describe(self) -> str:
        """Return all settings as text, one a line, each with where it was set. No secrets."""
        rows = list(self.described())
        width = max(len(f"{key} = {value}") for key, value, _ in rows if len(value) < _WIDE)
        lines = (f"{f'{key} = {value}':<{width}}  # {place}" for key, value, place in rows)
        return "\n".join(lines)

    def _described_campaigns(self) -> Iterator[tuple[str, str, str]]:
        for number, campaign in enumerate(self.campaigns, 1):
            for name, value in campaign:
                own = f"campaigns[{number}].{name}"
                if not isinstance(value, SettingsSection):
                    yield own, as_toml(value), str(self.origin(own) or "default")
                    continue
                front = own if self.origin(own) else name
                for field, found in value:
                    place = self.origin(f"{front}.{field}")
                    yield f"{own}.{field}", as_toml(found), str(place or "default")

    def _described_clients(self) -> Iterator[tuple[str, str, str]]:
        for number, client in enumerate(self.clients, 1):
            for name, value in client:
                own = f"clients[{number}].{name}"
                if isinstance(value, SettingsSection):
                    for field, inner in value:
                        key = f"{own}.{field}"
                        yield key, as_toml(inner), str(self.origin(key) or "default")
                    continue
                shown = self.platform.requests_per_minute if value is None else value
                yield own, as_toml(shown), str(self.origin(own) or "default")

    def _described(self, key: str, value: object) -> tuple[str, str, str]:
        origin = self.origin(key)
        shown = without_userinfo(value) if key == "platform.proxy" else value  # type: ignore[arg-type]
        return key, as_toml(shown), str(origin) if origin else "default"


SECRETS = ("client_id", "client_secret")
"""The fields that are no keys of a file: they come from the environment alone."""

SECRET_VARIABLES = ("DISPATCHER_CLIENT_", "VAULT_")
"""How the variables begin that credential sources may read."""

CAMPAIGN_SECTIONS = ("source", "message", "rules")
"""The sections that each of ``[[campaigns]]`` has; in the short form they stand on top."""

INHERITED = ("message", "rules")
"""Those of them that a campaign without one of its own takes from the top."""

_WIDE = 48
