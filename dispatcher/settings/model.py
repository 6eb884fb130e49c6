"""Every setting with its default and its bounds."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, SecretStr

from dispatcher.platforms.genesys.requests import Lineage, Messenger
from dispatcher.ports import Source
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.errors import SettingOrigin
from dispatcher.settings.field_types import (
    Alias,
    AttributeFilter,
    BaseUrl,
    BoundedStates,
    Campaign,
    DateFormat,
    Delimiter,
    EvidenceKinds,
    Header,
    Holidays,
    Port,
    Proxy,
    Quiet,
    Region,
    SettingsSection,
    TemplateText,
    Text,
    Texts,
    Timezone,
)
from dispatcher.settings.ledger import LedgerPlace, LedgerSettings
from dispatcher.settings.sinks import AnySink
from dispatcher.settings.source_kinds import (
    HttpSourceSettings,
    KafkaSettings,
    ObjectStoreSettings,
    SnowflakeSettings,
    SourceKind,
    SqlSettings,
)
from dispatcher.sources.options import NULL_VALUES, MangledNumbers, Meaning, SourceFormat


class MessageSettings(SettingsSection):
    """What is sent if the row has no text; empty: every row must have one."""

    text: TemplateText = ""
    subject: TemplateText = ""


class SourceSettings(SettingsSection):
    """Where contacts are read from."""

    kind: SourceKind = "files"
    path: str = ""
    objects: ObjectStoreSettings | None = None
    sql: SqlSettings | None = None
    snowflake: SnowflakeSettings | None = None
    kafka: KafkaSettings | None = None
    http: HttpSourceSettings | None = None
    format: SourceFormat = "auto"
    watch: bool = False
    poll_seconds: float = Field(default=1.0, ge=0.05, le=3600)
    stable_seconds: float = Field(default=2.0, ge=0, le=86400)
    expected_every_minutes: float = Field(default=0.0, ge=0, le=525_600)
    delimiter: Delimiter = "auto"
    max_record_lines: int = Field(default=100, ge=1, le=100_000)
    timezone: Timezone = "UTC"
    date_format: DateFormat = ""
    columns: dict[Meaning, Text] = Field(default_factory=dict)
    header: Header = ()
    attributes: Texts = ()
    null_values: Texts = NULL_VALUES
    mangled_numbers: MangledNumbers = "reject"
    alike_columns: Texts = ()
    age_column: str = ""
    filter: AttributeFilter = Field(default_factory=dict)

    @property
    def posts(self) -> HttpSourceSettings:
        """How posts are accepted; the defaults if there is no section for it."""
        return self.http or HttpSourceSettings()


class RulesSettings(SettingsSection):
    """Which people of a campaign are not written to, or not now, and when the campaign stops."""

    one_per_person: bool = True
    identity: Literal["park", "platform", "row"] = "park"
    quiet_hours: Quiet = ""
    holidays: Holidays = ()
    timezone: Timezone = "UTC"
    timezone_column: str = ""
    unknown_timezone: Literal["hold", "default", "reject"] = "hold"
    cap_messages: int = Field(default=0, ge=0, le=1000)
    cap_hours: float = Field(default=24.0, gt=0, le=87_600)
    opt_out_columns: Texts = ()
    consent_columns: Texts = ()
    suppression_file: str = ""
    suppression_columns: Texts = ()
    suppression_any_shape: bool = False
    suppression_max_share: float = Field(default=0.9, gt=0, le=1)
    halt_suspicious: bool = True
    stop_failed_share: float = Field(default=0.0, ge=0, lt=1)
    stop_failed_of: int = Field(default=100, ge=1, le=1_000_000)


class CampaignSettings(SettingsSection):
    """One of ``[[campaigns]]``, and how much of the workers it gets.

    ``share`` is used if ``engine.sharing`` is "fair", ``priority`` if it is "priority".
    """

    name: Campaign
    source: SourceSettings = SourceSettings()
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
    first_call: Literal["check", "learn"] = "check"
    states_per_call: BoundedStates = 1
    requests_per_minute: int = Field(default=300, ge=1, le=10_000_000)
    window_seconds: float = Field(default=60.0, ge=0.1, le=86400)
    timeout_seconds: float = Field(default=10.0, ge=0.05, le=600)
    connect_timeout_seconds: float = Field(default=5.0, ge=0.05, le=600)
    write_scopes_any_of: Texts = ("conversations:messaging:write", "messaging:conversation:write")
    read_scopes_any_of: Texts = ()
    scopes: Texts = ()
    missing_conversation: Literal["reject", "open-unlinked"] = "reject"
    proxy: Proxy = Field(default="", repr=False)
    ca_bundle: str = ""


class ClientSettings(SettingsSection):
    """One of ``[[clients]]``; its quota is by default that of ``[platform]``."""

    name: Alias
    requests_per_minute: int | None = Field(default=None, ge=1, le=10_000_000)
    credentials: CredentialsSettings = CredentialsSettings()


class ControlSettings(SettingsSection):
    """Where the running dispatcher receives commands; "off" is nowhere."""

    socket: str = ""
    page: bool = False


class EngineSettings(SettingsSection):
    """How much is done at a time, and how long a stop or a halt may take."""

    workers: int = Field(default=64, ge=1, le=10_000)
    drain_seconds: float = Field(default=30.0, ge=0, le=3600)
    probe_seconds: float = Field(default=15.0, ge=0.05, le=3600)
    wait_limit_seconds: float = Field(default=60.0, ge=0, le=604_800)
    sharing: Literal["fair", "priority"] = "fair"


class RetrySettings(SettingsSection):
    """The bounds of retries."""

    max_attempts: int = Field(default=8, ge=1, le=1000)
    loop_after: int = Field(default=3, ge=1, le=100)
    not_ended_seconds: float = Field(default=5.0, ge=0, le=86400)
    not_ended_max_minutes: float = Field(default=60.0, ge=0, le=10_080)
    waiting_share: float = Field(default=0.25, ge=0.01, le=1)
    engaged_seconds: float = Field(default=60.0, ge=0, le=86400)
    engaged_max_minutes: float = Field(default=1440.0, ge=0, le=525_600)
    backoff_seconds: float = Field(default=1.0, ge=0.001, le=3600)
    backoff_max_seconds: float = Field(default=300.0, ge=0.001, le=86400)


class ReconcileSettings(SettingsSection):
    """What is assumed about the platform after a send without a clear answer."""

    delivery: Literal["at-most-once", "at-least-once"] = "at-most-once"
    max_effect_delay_seconds: float = Field(default=60.0, ge=0, le=86400)
    max_lag_seconds: float = Field(default=120.0, ge=0, le=86400)
    clock_skew_seconds: float = Field(default=5.0, ge=0, le=3600)
    look_seconds: float = Field(default=10.0, ge=0.05, le=3600)
    give_up_hours: float = Field(default=24.0, ge=0, le=8760)
    evidence: EvidenceKinds = ("own", "records", "availability")


class TelemetrySettings(SettingsSection):
    """Metrics, logs, traces, the health address and the page."""

    statsd_host: str = "127.0.0.1"
    statsd_port: Port = 8125
    statsd_socket: str = ""
    log_format: Literal["auto", "json", "console"] = "auto"
    log_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    runbook_url: str = ""
    health_host: Text = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65535)
    page_host: Text = "127.0.0.1"
    page_port: int = Field(default=0, ge=0, le=65535)
    page_token_file: str = ""
    page_token_variable: str = ""
    page_names: Texts = ()
    trace_share: float = Field(default=0.0, ge=0, le=1)
    trace_endpoint: str = "http://127.0.0.1:4318/v1/traces"


class Settings(SettingsSection):
    """All settings of one run; made by `dispatcher.settings.load`.

    ``campaigns`` is never empty. ``campaign`` and the sections of one campaign are those of the
    first; `only` returns the settings of another. ``clients`` is empty if there is only one OAuth
    client.
    """

    campaign: Campaign
    message: MessageSettings = MessageSettings()
    source: SourceSettings = SourceSettings()
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
    sinks: Annotated[tuple[AnySink, ...], Field(strict=False)] = ()
    client_id: SecretStr = SecretStr("")
    client_secret: SecretStr = SecretStr("")
    _origins: Mapping[str, SettingOrigin] = PrivateAttr(default_factory=dict)
    _environment: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)
    _program_source: Source | None = PrivateAttr(default=None)

    def with_origins(self, origins: Mapping[str, SettingOrigin]) -> "Settings":
        """Return these settings with the origin of each key."""
        copy = self.model_copy()
        copy._origins = origins  # noqa: SLF001 - of the same class
        return copy

    def with_secrets(self, env: Mapping[str, str], variables: Collection[str]) -> "Settings":
        """Return these settings with the client's secrets, and these variables if they are set."""
        secrets = {n: SecretStr(env.get(f"DISPATCHER_{n.upper()}", "").strip()) for n in SECRETS}
        copy = self.model_copy(update=secrets)
        copy._environment = {n: SecretStr(env[n]) for n in variables if n in env}  # noqa: SLF001 - as above
        return copy

    @property
    def environment(self) -> Mapping[str, SecretStr]:
        """The variables that credential sources may read."""
        return self._environment

    def with_source(self, source: Source, name: str) -> "Settings":
        """Return these settings of one campaign, read from a source that a program gives.

        ``name`` is its name for people.
        """
        changes = {"kind": "files", "path": name, "watch": False}
        section = self.source.model_copy(update=changes)
        copy = self.only(self.campaigns[0].model_copy(update={"source": section}))
        copy._program_source = source  # noqa: SLF001 - of the same class
        return copy

    @property
    def program_source(self) -> Source | None:
        """The source that a program gives in place of the one that the section names."""
        return self._program_source

    @property
    def ledger_place(self) -> LedgerPlace:
        """Where the ledger is."""
        return LedgerPlace(self.ledger, self._environment)

    def only(self, campaign: CampaignSettings) -> "Settings":
        """Return the settings of one campaign."""
        own = {name: getattr(campaign, name) for name in CAMPAIGN_SECTIONS}
        return self.model_copy(update={"campaign": campaign.name, "campaigns": (campaign,), **own})

    @property
    def title(self) -> str:
        """The names of all campaigns, for people."""
        return ", ".join(campaign.name for campaign in self.campaigns)

    def origin(self, key: str) -> SettingOrigin | None:
        """Return where ``key`` (as in ``platform.base_url``) was set; None: it is the default."""
        below = f"{key}."
        origins = [o for k, o in self._origins.items() if k == key or k.startswith(below)]
        return origins[-1] if origins else None


SECRETS = ("client_id", "client_secret")
"""The fields that the file cannot set: they come from the environment only."""

SECRET_VARIABLES = ("DISPATCHER_CLIENT_", "VAULT_")
"""Prefixes of the variables that credential sources may read."""

CAMPAIGN_SECTIONS = ("source", "message", "rules")
"""The sections that each of ``[[campaigns]]`` has; in the short form they are at the top."""

INHERITED = ("message", "rules")
"""The sections that a campaign inherits from the top if it does not have them."""
