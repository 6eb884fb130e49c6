"""The shortest configuration that follows from five answers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dispatcher.settings.toml_format import as_toml

SANDBOX_URL = "http://127.0.0.1:8080"
TEXT = "Hello, do you still have a question? Just answer here, and we will help."
CONTACTS = "contacts.csv"

_COLUMN = re.compile(r'Write source\.columns = \{ (\w+) = "([^"]+)" \}')
_LEFT_OUT = re.compile(r"Write rules\.(opt_out|consent)_columns = \[([^\]]+)\]")
_HEAD = (
    "# Written by `dispatcher init`. `dispatcher check --show` prints every setting with its\n"
    "# value; for completion in an editor see `dispatcher config schema --help`.\n"
)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a first configuration needs; the defaults are those of the sandbox.

    ``platform`` is a URL, or a region of Genesys Cloud. ``credentials`` is "env", "vault:PATH",
    "aws:SECRET", or a folder with the files client_id and client_secret.
    """

    platform: str = SANDBOX_URL
    from_address: str = ""
    campaign: str = "first-campaign"
    contacts: str = CONTACTS
    text: str = TEXT
    credentials: str = "env"
    columns: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By "opt_out" or "consent": the columns in which people say whether they want messages."""

    @property
    def is_genesys(self) -> bool:
        """Whether the platform is a region of Genesys Cloud."""
        return "://" not in self.platform

    def with_columns(self, problems: Iterable[str]) -> "Answers":
        """Return these answers with what a check of the columns says to write.

        A column with a name like a known one gets its meaning, and a column that may say that
        people want no message leaves these people out.
        """
        columns, left_out = dict(self.columns), dict(self.left_out)
        for problem in problems:
            if (found := _COLUMN.search(problem)) and found[2] != "...":
                columns.setdefault(found[1], found[2])
            elif found := _LEFT_OUT.search(problem):
                left_out[found[1]] = tuple(re.findall(r'"([^"]+)"', found[2]))
        return replace(self, columns=columns, left_out=left_out)

    def toml(self) -> str:
        """Return the configuration."""
        sections: dict[str, dict[str, object]] = {
            "message": {"text": self.text},
            "source": {"path": self.contacts, "columns": self.columns},
            "platform": self._platform(),
            "credentials": self._credentials(),
            "rules": {f"{kind}_columns": names for kind, names in self.left_out.items()},
        }
        lines = [f"{_HEAD}\ncampaign = {as_toml(self.campaign)}"]
        for name, values in sections.items():
            filled = {key: value for key, value in values.items() if value}
            if filled:
                body = "\n".join(f"{key} = {as_toml(value)}" for key, value in filled.items())
                lines.append(f"[{name}]\n{body}")
        return "\n\n".join(lines) + "\n"

    def _platform(self) -> dict[str, object]:
        if not self.is_genesys:
            return {"base_url": self.platform}
        return {"dialect": "genesys", "region": self.platform, "from_address": self.from_address}

    def _credentials(self) -> dict[str, object]:
        source, _, name = self.credentials.partition(":")
        if self.credentials == "env":
            return {}
        if source == "vault":
            return {"source": "vault", "vault_path": name}
        if source == "aws":
            return {"source": "aws", "aws_secret_id": name}
        folder = Path(self.credentials)
        return {
            "source": "file",
            "client_id_file": str(folder / "client_id"),
            "client_secret_file": str(folder / "client_secret"),
        }
