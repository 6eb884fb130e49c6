"""``[ledger]``: where the durable record of every contact's progress is kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from dispatcher.settings.errors import WrongValueError
from dispatcher.settings.field_types import SettingsSection

SERVER_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
"""The beginning of a URL of a PostgreSQL ledger; anything else is the path of a file."""

_PASSWORD = re.compile(r"[^:@/]*:(?:[^@/]*|[^?]*)@")
"""A password as libpq reads it, or with slashes, which libpq takes for a part of the address."""
_SECRET_OPTIONS = re.compile(r"(?:password|passwd|pwd)(?:=|%3d)", re.IGNORECASE)
_EXAMPLE = (
    "for example postgresql://dispatcher_run@db.example.com/ledger"
    "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt"
)


def _server_url(url: str) -> str:
    """Check a URL of libpq. No message repeats it, since it may have a password."""
    if not url:
        return url
    scheme, _, rest = url.partition("://")
    if not rest or not SERVER_URL.match(url):
        raise WrongValueError("is not a URL of PostgreSQL", _EXAMPLE)
    if "+" in scheme:
        raise WrongValueError(
            f'begins with "{scheme}://", which is SQLAlchemy\'s form', 'write "postgresql://"'
        )
    if _PASSWORD.match(rest) or _SECRET_OPTIONS.search(url):
        raise WrongValueError(
            "has a password",
            "set ledger.password_file or ledger.password_variable, and remove it from the URL",
        )
    if not database_of(url):
        raise WrongValueError("names no database", _EXAMPLE)
    return url


def database_of(url: str) -> str:
    """Return the database, or the service, that a URL of libpq names; empty if it names none."""
    try:
        parts = urlsplit(_without_hosts(url))
    except ValueError:
        return ""
    options = parse_qs(parts.query)
    named = options.get("dbname") or options.get("service") or [parts.path.strip("/")]
    return named[-1]


def user_of(url: str) -> str:
    """Return the user that a URL of libpq names; empty if it names none."""
    authority = re.split(r"[/?]", url.partition("://")[2], maxsplit=1)[0]
    named = parse_qs(urlsplit(_without_hosts(url)).query).get("user")
    return named[-1] if named else unquote(authority.rpartition("@")[0])


def hosts_of(url: str) -> list[str]:
    """Return the hosts that a URL of libpq names, without ports; a folder is a local socket."""
    authority = re.split(r"[/?]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
    options = parse_qs(urlsplit(_without_hosts(url)).query)
    named = (options.get("host") or [authority])[-1]
    ports = re.compile(r":\d*$")
    return [ports.sub("", host).strip("[]") for host in named.split(",") if host]


def has_encryption(url: str) -> bool:
    """Return True if a connection to the server is never in plain text."""
    modes = parse_qs(urlsplit(_without_hosts(url)).query).get("sslmode", [""])
    return modes[-1] in ("require", "verify-ca", "verify-full")


def _without_hosts(url: str) -> str:
    """Return a URL without its hosts, of which a list is no URL to Python."""
    return re.sub(r"://[^/?]*", "://", url, count=1)


ServerUrl = Annotated[str, AfterValidator(_server_url)]


STATE_OFF = "off"
"""The value of ``state_file`` that means none."""


class LedgerSettings(SettingsSection):
    """A file, or with ``url`` a database of PostgreSQL, to which all keys below it belong."""

    path: Path = Field(default=Path("ledger.db"), strict=False)
    allow_network_filesystem: bool = False
    url: ServerUrl = ""
    password_file: str = ""
    password_variable: str = ""
    durable: Literal["single", "replicated", "managed"] = "single"
    pooler: bool = False
    away_minutes: float = Field(default=60.0, gt=0, le=10_080)
    lease_seconds: float = Field(default=10.0, ge=3, le=300)
    share_clients: bool = False
    state_file: str = ""

    @property
    def local_name(self) -> Path:
        """The file; of a database the name of a file for what belongs to this machine alone."""
        return Path(f"ledger-{database_of(self.url)}") if self.url else self.path

    @property
    def local_state(self) -> Path | None:
        """The file of this machine with the last state of a database; None if it is off."""
        if not self.url or self.state_file == STATE_OFF:
            return None
        name = self.local_name.name
        return Path(self.state_file) if self.state_file else Path(f"{name}-state.json")


OF_A_FILE = ("path", "allow_network_filesystem")
"""The keys that a ledger in a database does not have."""
OF_A_SERVER = tuple(name for name in LedgerSettings.model_fields if name not in (*OF_A_FILE, "url"))
"""The keys that a ledger in a file does not have."""


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """Where a ledger is, with the variables that may have the password of its database."""

    settings: LedgerSettings
    environment: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)

    @classmethod
    def of_file(cls, path: Path) -> "LedgerPlace":
        """Return the place of a ledger in a file."""
        return cls(LedgerSettings(path=path))

    @property
    def file(self) -> Path | None:
        """The file; None if the ledger is in a database."""
        return None if self.settings.url else self.settings.path

    @property
    def whole(self) -> str:
        """The whole path of the file, or the URL."""
        return str(self if self.file is None else self.file.resolve())

    def __str__(self) -> str:
        return self.settings.url.partition("?")[0] or str(self.settings.path)
