"""Loads the settings from all sources, or reports all problems in them at once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from dispatcher.settings import (
    campaigns,
    clients,
    credentials,
    error_messages,
    ledger_checks,
    sink_checks,
    value_sources,
)
from dispatcher.settings.column_checks import COLUMNS
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.cross_checks import Check, apply
from dispatcher.settings.errors import (
    DEFAULTS,
    MISSING,
    UNKNOWN,
    SettingOrigin,
    SettingsError,
    SettingsProblem,
)
from dispatcher.settings.file_checks import FILES, LEDGER
from dispatcher.settings.kafka_checks import KAFKA, KAFKA_FILES
from dispatcher.settings.key_paths import (
    CLIENTS,
    SINKS,
    KeyPath,
    did_you_mean,
    did_you_mean_section,
    hint_for_unknown,
    item_list,
)
from dispatcher.settings.layers import Layers
from dispatcher.settings.ledger_checks import DATABASE, DATABASE_FILES
from dispatcher.settings.listing import items
from dispatcher.settings.model import SECRET_VARIABLES, SECRETS, Settings
from dispatcher.settings.page_checks import PAGE, PAGE_FILES
from dispatcher.settings.platform_checks import PLATFORM
from dispatcher.settings.post_checks import POST_FILES, POSTS, missing_variables
from dispatcher.settings.retry_checks import RETRY
from dispatcher.settings.snowflake_checks import SNOWFLAKE, SNOWFLAKE_FILES
from dispatcher.settings.source_checks import SOURCE
from dispatcher.settings.source_kinds import WITH_PATH

Purpose = Literal["run", "rows", "check", "preview", "status", "verify"]
"""What the settings are for; it decides which checks are made."""

_TOGETHER = RETRY + SOURCE + COLUMNS + POSTS + PAGE + KAFKA + SNOWFLAKE + DATABASE
_OF_ROWS = RETRY + COLUMNS + DATABASE + PLATFORM + DATABASE_FILES
_FILES = FILES + POST_FILES + PAGE_FILES + KAFKA_FILES + SNOWFLAKE_FILES + DATABASE_FILES
_RULES: dict[Purpose, tuple[Check, ...]] = {
    "run": _TOGETHER + PLATFORM + _FILES,
    "rows": _OF_ROWS + tuple(check for check in FILES if check.needs[0] != "source.path"),
    "check": _TOGETHER + PLATFORM + _FILES + LEDGER,
    "preview": _TOGETHER + PLATFORM + _FILES,
    "status": _TOGETHER,
    "verify": _TOGETHER + PLATFORM,
}

_WITH_SINKS: Collection[Purpose] = ("run", "rows", "check")
"""The purposes whose sinks are opened with the same settings."""


def load(
    config: Path | None = None,
    *,
    env: Mapping[str, str],
    sets: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    purpose: Purpose = "run",
) -> Settings:
    """Read and check all settings.

    ``env`` is the environment, ``sets`` are the values of ``--set``, ``flags`` the values of a
    command's flags by key (None: not set). The purpose "status" needs only the ledger:
    credentials, source and platform may be missing. For "verify" and "rows" only the source may be
    missing, for "preview" only the credentials. "rows" is a run whose source a program
    gives. "check" also checks the ledger's path, which a run checks
    by opening it.

    Raises:
        SettingsError: it has everything that is wrong.

    """
    layers = Layers()
    if config is not None:
        value_sources.read_file(layers, config)
        if layers.problems and not layers.values and not layers.lists:  # nothing of it was read
            raise SettingsError(layers.problems)
    value_sources.read_environment(layers, env)
    value_sources.read_sets(layers, sets)
    ledger_checks.choose_ledger(layers, flags or {})
    value_sources.read_flags(layers, flags or {})
    selected = campaigns.pop_selection(layers)
    problems = [*layers.problems, *_pop_secrets(layers), *campaigns.problems(layers, selected)]
    campaigns.fill_placeholders(layers, complete=purpose in ("rows", "status", "verify"))
    paths = list(campaigns.pop_missing_paths(layers))
    settings, invalid = _validate(layers)
    invalid += [error_messages.missing(path, layers) for path in paths]
    problems += invalid
    invalid_keys = frozenset(problem.key for problem in invalid)
    views = campaigns.views(settings, layers, selected)
    findings = apply(_RULES[purpose], settings, invalid_keys, views)
    problems += [_problem(layers, *finding) for finding in findings]
    problems += [_problem(layers, *finding) for finding in ledger_checks.find(layers)]
    of_sinks = sink_checks.find(settings, opened=purpose in _WITH_SINKS)
    problems += [_problem(layers, *finding) for finding in of_sinks]
    if purpose not in ("preview", "status"):
        for section in clients.credentials_sections(settings, layers):
            problems += _credentials(*section, layers, env, invalid_keys)
    if purpose in ("run", "check"):
        problems += _missing_variables(settings, views, env)
    if problems:
        raise SettingsError(sorted(_without_consequences(problems), key=_order), settings)
    settings = campaigns.select(settings, layers, selected)
    settings = settings.with_origins({".".join(path): o for path, o in layers.origins.items()})
    return settings.with_secrets(env, _secret_variables(settings, env))


def _secret_variables(settings: Settings, env: Mapping[str, str]) -> set[str]:
    """Return the names of the variables that may have a secret of these settings."""
    named = {str(value) for key, value in items(settings) if key.endswith("_variable")}
    return named | {name for name in env if name.startswith(SECRET_VARIABLES)}


def _pop_secrets(layers: Layers) -> Iterator[SettingsProblem]:
    """Remove client_id and client_secret at the top, where they are not allowed."""
    for name in SECRETS:
        if (origin := layers.pop((name,))) is not None:
            yield origin.problem(name, UNKNOWN, hint_for_unknown((name,)))


def _validate(layers: Layers) -> tuple[Settings, list[SettingsProblem]]:
    """Check each value. Replace invalid ones by their defaults, so that the rest can be checked."""
    try:
        return campaigns.complete(Settings.model_validate(layers.nested())), []
    except ValidationError as error:
        invalid = error_messages.problems(error, layers)
    usable = deepcopy(layers)
    for problem in invalid:
        path = tuple(problem.key.split("."))
        if path[-3:-2] == ("source",):  # without a required key the section cannot be there
            path = path[:-1]
            usable.values[*path[:-1], "kind"] = WITH_PATH[0]
        for key in [key for key in usable.values if key[: len(path)] == path]:
            del usable.values[key]
    campaigns.fill_placeholders(usable, complete=True)
    if any(item_list(tuple(problem.key.split("."))) == SINKS for problem in invalid):
        usable.drop_list(SINKS)
    for number, name in enumerate(usable.items(CLIENTS), 1):
        usable.values.setdefault((name, "name"), f"client_{number}")
    return campaigns.complete(Settings.model_validate(usable.nested())), invalid


def _problem(layers: Layers, path: KeyPath, problem: str, hint: str) -> SettingsProblem:
    unset = SettingOrigin("settings" if problem == MISSING else DEFAULTS)
    return (layers.origin(path) or unset).problem(".".join(path), problem, hint)


def _credentials(
    path: KeyPath,
    section: CredentialsSettings,
    variables: tuple[str, str],
    layers: Layers,
    env: Mapping[str, str],
    invalid_keys: frozenset[str],
) -> Iterator[SettingsProblem]:
    prefix = ".".join(path)
    if f"{prefix}.source" in invalid_keys:
        return
    for key, problem, hint in credentials.find_problems(section, env, variables):
        if key not in CredentialsSettings.model_fields:
            yield value_sources.ENVIRONMENT.problem(key, problem, hint)
        elif f"{prefix}.{key}" not in invalid_keys:
            yield _problem(layers, (*path, key), problem, hint)


def _missing_variables(
    settings: Settings, views: Sequence[tuple[str, Settings]], env: Mapping[str, str]
) -> Iterator[SettingsProblem]:
    """Report variables with secrets of sources, the page and the ledger that are not set."""
    of_run = (settings.ledger.password_variable, settings.telemetry.page_token_variable)
    names = [name for name in of_run if name and not env.get(name, "").strip()]
    for name in [*names, *(n for _, view in views for n in missing_variables(view, env))]:
        hint = f"export {name}=... before the command"
        yield value_sources.ENVIRONMENT.problem(name, "is not set", hint)


def _without_consequences(problems: Sequence[SettingsProblem]) -> list[SettingsProblem]:
    """Leave out the keys that are missing only because they are written wrongly."""
    meant = {hint_for_unknown(tuple(p.key.split("."))) for p in problems if p.problem == UNKNOWN}
    return [p for p in problems if p.problem != MISSING or not meant & _hints_for(p.key)]


def _hints_for(key: str) -> set[str]:
    """Return the hints that a key gets which means ``key`` or its section."""
    return {did_you_mean(key), did_you_mean_section(key.split(".", maxsplit=1)[0])}


def _order(problem: SettingsProblem) -> tuple[bool, str, int]:
    return problem.where == value_sources.ENVIRONMENT.where, problem.where, problem.line or 0
