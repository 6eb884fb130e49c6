"""What a program gives: its rows, and the settings of a campaign."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from dispatcher.app.wiring import make_row_rules
from dispatcher.settings import (
    Purpose,
    Settings,
    SettingsError,
    SettingsProblem,
    ledger_flag,
    load,
)
from dispatcher.settings import warnings as likely_mistakes
from dispatcher.settings.errors import MISSING
from dispatcher.settings.key_paths import LIST_KEYS, KeyPath, holds_keys, item_list
from dispatcher.sources.memory.row_source import RowOutcomes, RowSource, build_rows
from dispatcher.sources.memory.table_rows import read_rows

HERE = "Dispatcher(...)"
"""Where a setting was set that the program gives."""

_FLAGS = {
    "--campaign": "campaign",
    "--ledger": "ledger",
    "--platform-url": "platform_url",
    "--source": "settings",
    "--wait-limit": "settings",
    "--log-format": "settings",
}
"""The parameter for each flag of the command line that sets the same key."""


@runtime_checkable
class ArrowStream(Protocol):
    """What can be read as a table of Arrow: pandas, polars, pyarrow, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with a stream of record batches."""
        ...


Rows = ArrowStream | Iterable[Mapping[str, object]]
"""Rows of contacts: a data frame, a table of Arrow, or a list of mappings."""


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """Where the settings of a campaign come from; the parameters of `Dispatcher`."""

    campaign: str | None = None
    config: str | os.PathLike[str] | None = None
    ledger: str | os.PathLike[str] | None = None
    platform_url: str | None = None
    text: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    progress: bool | None = None

    def load(self, purpose: Purpose) -> Settings:
        """Return the settings for a purpose.

        Raises:
            SettingsError: it has everything that is wrong.

        """
        if problems := [*_problems(self.settings)]:
            raise SettingsError(problems)
        flags: dict[str, object] = {
            **self.settings,
            "campaign": self.campaign,
            "platform.base_url": self.platform_url,
            "message.text": self.text,
        }
        flags = {name: value for name, value in flags.items() if value is not None}
        if self.ledger is not None:
            flags |= ledger_flag(os.fspath(self.ledger))
        config = None if self.config is None else Path(self.config)
        try:
            return load(config, env=os.environ, flags=flags, purpose=purpose)
        except SettingsError as error:
            raise SettingsError([*map(_in_python, error.mistakes)], error.readable) from None

    def load_one(self, purpose: Purpose) -> Settings:
        """Return the settings for a purpose that needs exactly one campaign.

        Raises:
            SettingsError: as `load`; or no campaign is named, or several are.

        """
        settings = self.load(purpose)
        if len(settings.campaigns) > 1:
            hint = f"choose one of {settings.title}"
            raise SettingsError([SettingsProblem(HERE, "campaign", MISSING, hint)])
        if settings.origin("campaign") is None and settings.origin("campaigns[1].name") is None:
            hint = 'for example Dispatcher("cart-2026-11", ...)'
            raise SettingsError([SettingsProblem(HERE, "campaign", MISSING, hint)])
        return settings

    def read(self, rows: Rows | None) -> "PreparedRows":
        """Return the settings of a run or a plan, and the rows that a program gives for it.

        Without rows it is the source of the settings that is read.

        Raises:
            SettingsError: as `load_one`.
            SourceError: the rows cannot be read, or lack a column.

        """
        if rows is None:
            settings = self.load_one("run")
            _warn(settings)
            return PreparedRows(settings, None)
        settings = self.load_one("rows")
        _warn(settings)
        built = build_rows(read_rows(rows), make_row_rules(settings), _context(settings))
        return PreparedRows(settings.with_source(RowSource(built), built.name), built)


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """The settings of a run, and what each row became that a program gave for it."""

    settings: Settings
    built: RowOutcomes | None


def _context(settings: Settings) -> str:
    """Return all settings that decide what a row becomes."""
    sections = (settings.source, settings.message, settings.rules)
    platform = settings.platform
    return "\n".join(
        [*(one.model_dump_json() for one in sections), platform.dialect, platform.messenger]
    )


def _warn(settings: Settings) -> None:
    for text in likely_mistakes(settings):
        if not text.startswith("message.text is empty"):  # the rows show that by themselves
            warnings.warn(text, stacklevel=2)


def _problems(settings: object, above: KeyPath = ()) -> Iterator[SettingsProblem]:
    """Yield what is wrong with the keys that a program sets; values are checked with all others."""
    if not isinstance(settings, Mapping):
        yield SettingsProblem(HERE, "settings", "is no mapping", 'such as {"engine.workers": 8}')
        return
    for name, value in settings.items():
        if not isinstance(name, str):
            problem = f"has a key of type {type(name).__name__}"
            yield SettingsProblem(HERE, "settings", problem, 'write it as "section.key"')
            continue
        path = (*above, *name.split("."))
        key = ".".join(path)
        if path[0] in LIST_KEYS or item_list(path) is not None:
            hint = f"write [[{item_list(path) or path[0]}]] there, and give it as config"
            yield SettingsProblem(HERE, key, "can be set in a configuration file only", hint)
        elif holds_keys(path) and isinstance(value, Mapping):
            yield from _problems(value, path)
        elif holds_keys(path):
            yield SettingsProblem(HERE, key, "is a section", f'set its keys: "{key}.key"')


def _in_python(mistake: SettingsProblem) -> SettingsProblem:
    """Return a mistake with the place where a program has made it."""
    if mistake.where in _FLAGS:
        return replace(mistake, where=f"Dispatcher({_FLAGS[mistake.where]}=...)")
    return replace(mistake, where=HERE) if mistake.where == mistake.key else mistake
