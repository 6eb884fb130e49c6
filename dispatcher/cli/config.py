"""Groups of options, and the settings that follow from a configuration's options."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dispatcher.cli.options import FILE
from dispatcher.settings import LedgerPlace, Purpose, Settings, ledger_flag, load
from dispatcher.settings.ledger import SERVER_URL

Command = Callable[..., int | None]
"""A command's body; what it returns is the exit code."""

DEFAULT_CONFIG = Path("dispatcher.toml")
"""The configuration that is used, if the file exists, when none is named."""


class _LedgerName(click.Path):
    """The file of a ledger, or the URL of its database."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        is_url = isinstance(value, str) and SERVER_URL.match(value)
        return value if is_url else super().convert(value, param, ctx)


LEDGER = _LedgerName(dir_okay=False)
RUN_LEDGER = _LedgerName()
"""A run itself says what is wrong with a folder, and reports its end."""


def option_group(group: type, *options: Callable[[Command], Command]) -> Callable[..., Command]:
    """Return a decorator that adds options, and passes their values to the body as one object.

    ``group`` is a dataclass with one field for each option. With several groups, the body takes
    their objects in the order of the decorators, and the values of further options by name.
    """
    names = [field.name for field in fields(group)]

    def decorate(body: Command) -> Command:
        @wraps(body)
        def call(*groups: object, **values: Any) -> int | None:
            return body(*groups, group(**{name: values.pop(name) for name in names}), **values)

        command: Command = call
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@dataclass(frozen=True, kw_only=True)
class ConfigOptions:
    """Options that name a ledger: its file or URL, or a configuration that names it."""

    config: Path | None
    ledger: str | None

    def ledger_place(self) -> LedgerPlace:
        """Return where the ledger is."""
        return self._named_place() or self._load({}, purpose="status").ledger_place

    def _named_place(self) -> LedgerPlace | None:
        """Return the place that ``--ledger`` names without a configuration; None without it."""
        if not self.ledger or self.config is not None:
            return None
        flag = ledger_flag(self.ledger)
        if "ledger.path" in flag:
            return LedgerPlace.of_file(Path(self.ledger))
        return load(None, env=os.environ, flags=flag, purpose="status").ledger_place

    def _load(
        self, flags: Mapping[str, object], sets: Sequence[str] = (), *, purpose: Purpose
    ) -> Settings:
        config = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
        flags = {**ledger_flag(self.ledger), **flags}
        return load(config, env=os.environ, sets=sets, flags=flags, purpose=purpose)


@dataclass(frozen=True, kw_only=True)
class LedgerOptions(ConfigOptions):
    """Options that name a ledger and a campaign."""

    campaign: str | None

    def load_settings(self) -> Settings:
        """Load the settings that name the ledger; a source and a platform may be missing."""
        return self._load({"campaign": self.campaign}, purpose="status")

    def ledger_and_campaign(self) -> tuple[LedgerPlace, str | None]:
        """Return where the ledger is, and the campaign; None means all campaigns."""
        if (named := self._named_place()) is not None:
            return named, self.campaign
        settings = self.load_settings()
        if self.campaign:
            return settings.ledger_place, self.campaign
        is_one = settings.origin("campaign") is not None and len(settings.campaigns) == 1
        return settings.ledger_place, settings.campaign if is_one else None


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


config_option = click.option(
    "--config",
    type=FILE,
    help="The configuration; by default dispatcher.toml in this folder, if it exists.",
)

CONFIGURED = ""
"""The value of ``--source`` without one, where that is permitted: the source of the settings."""


def _settings_options(source: Callable[[Command], Command]) -> Callable[..., Command]:
    return option_group(
        SettingsOptions,
        config_option,
        source,
        click.option(
            "--ledger", type=RUN_LEDGER, help="The file of the ledger, or the URL of its database."
        ),
        click.option("--campaign", help="The campaign's name, or one of [[campaigns]]."),
        click.option(
            "--platform-url", help="The platform's address, such as https://api.example.com"
        ),
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting, as in --set engine.workers=16; can be repeated.",
        ),
    )


settings_options = _settings_options(
    click.option("--source", help='A file, a glob, a folder to watch, or "-".')
)

check_options = _settings_options(
    click.option(
        "--source",
        is_flag=False,
        flag_value=CONFIGURED,
        help="Also read all rows of the source, or of this one, and report rejected ones.",
    )
)

ledger_option = click.option(
    "--ledger",
    type=LEDGER,
    help="The ledger instead of a configuration: its file, or its URL postgresql://...",
)

ledger_file_options = option_group(ConfigOptions, config_option, ledger_option)

ledger_options = option_group(
    LedgerOptions,
    config_option,
    ledger_option,
    click.option(
        "--campaign", help="Only this campaign; by default that of the configuration, or all."
    ),
)
