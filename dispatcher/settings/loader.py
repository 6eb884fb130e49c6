"""Settings from all their places, or every mistake in them at once."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Literal

from pydantic import SecretStr, ValidationError

from dispatcher.settings import (
    campaigns,
    clients,
    credentials,
    cross_checks,
    error_messages,
    value_sources,
)
from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.errors import DEFAULTS, SettingOrigin, SettingsError, SettingsProblem
from dispatcher.settings.key_paths import KeyPath, hint_for_unknown
from dispatcher.settings.layers import Layers
from dispatcher.settings.model import SECRETS, Settings
from dispatcher.settings.platform_checks import MISSING, PLATFORM

Purpose = Literal["run", "check", "status", "verify"]
"""What the settings are for; it decides how much of the world must be in order."""

_RULES: dict[Purpose, tuple[cross_checks.Check, ...]] = {
    "run": cross_checks.TOGETHER + PLATFORM + cross_checks.WORLD,
    "check": cross_checks.TOGETHER + PLATFORM + cross_checks.WORLD + cross_checks.LEDGER,
    "status": cross_checks.TOGETHER,
    "verify": cross_checks.TOGETHER + PLATFORM,
}

_WITHOUT_SOURCE: tuple[Purpose, ...] = ("status", "verify")
"""Purposes for which a campaign and its source may be missing."""


def load(
    config: Path | None = None,
    *,
    env: Mapping[str, str],
    sets: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    purpose: Purpose = "run",
) -> Settings:
    """Read and check all settings.

    ``env`` is the environment, ``sets`` the texts of ``--set``, ``flags`` values by key that a
    command's own flags gave (None: not given). For the purpose "status" it is enough that the
    ledger can be named: credentials, source and platform may be missing; for "verify" the source
    may be. "check" looks at the ledger's place, too; a run finds that out when it opens it.

    Raises:
        SettingsError: names everything that is wrong.

    """
    layers = _read(config, env, sets, flags or {})
    chosen = campaigns.take_choice(layers)
    wrong = [*layers.mistakes, *_take_out_secrets(layers), *campaigns.mistakes(layers, chosen)]
    wrong += clients.mistakes(layers)
    campaigns.fill_placeholders(layers, complete=purpose in _WITHOUT_SOURCE)
    settings, invalid = _validate(layers)
    keys = frozenset(mistake.key for mistake in invalid)
    wrong += invalid
    views = campaigns.views(settings, layers, chosen)
    wrong += [
        _at(layers, *found) for found in cross_checks.apply(_RULES[purpose], settings, keys, views)
    ]
    if purpose != "status":
        for place in clients.places(settings, layers):
            if ".".join((*place.path, "source")) not in keys:
                wrong += _credentials(place, layers, env, keys)
    if wrong:
        raise SettingsError(sorted(wrong, key=_order))
    return _finish(campaigns.chosen_alone(settings, layers, chosen), layers, env)


def _read(
    config: Path | None, env: Mapping[str, str], sets: Sequence[str], flags: Mapping[str, object]
) -> Layers:
    layers = Layers()
    if config is not None:
        value_sources.read_file(layers, config)
    value_sources.read_environment(layers, env)
    value_sources.read_sets(layers, sets)
    value_sources.read_flags(layers, flags)
    return layers


def _take_out_secrets(layers: Layers) -> list[SettingsProblem]:
    """Refuse client_id and client_secret as keys of a file, wherever they stand on top."""
    found = []
    for name in SECRETS:
        if layers.values.pop((name,), None) is not None:
            origin = layers.origins.pop((name,))
            hint = hint_for_unknown((name,))
            found.append(SettingsProblem(origin.where, name, "is not known", hint, origin.line))
    return found


def _validate(layers: Layers) -> tuple[Settings, list[SettingsProblem]]:
    """Check each value; where some are wrong, go on with their defaults to check the others."""
    try:
        return campaigns.complete(Settings.model_validate(layers.nested())), []
    except ValidationError as error:
        invalid = error_messages.mistakes(error, layers)
    usable = deepcopy(layers)
    for mistake in invalid:
        _drop(usable, tuple(mistake.key.split(".")))
    campaigns.fill_placeholders(usable, complete=True)
    clients.fill_placeholders(usable)
    return campaigns.complete(Settings.model_validate(usable.nested())), invalid


def _drop(layers: Layers, path: KeyPath) -> None:
    for key in [key for key in layers.values if key[: len(path)] == path]:
        del layers.values[key]


def _at(layers: Layers, path: KeyPath, problem: str, hint: str) -> SettingsProblem:
    nowhere = SettingOrigin("settings" if problem == MISSING else DEFAULTS)
    origin = layers.origin(path) or nowhere
    return SettingsProblem(origin.where, ".".join(path), problem, hint, origin.line)


def _credentials(
    place: clients.Place, layers: Layers, env: Mapping[str, str], wrong: frozenset[str]
) -> list[SettingsProblem]:
    front = ".".join(place.path)
    found = credentials.mistakes(place.section, env, place.variables)
    return [
        _at(layers, (*place.path, key), problem, hint)
        if key in CredentialsSettings.model_fields
        else SettingsProblem("environment", key, problem, hint)
        for key, problem, hint in found
        if f"{front}.{key}" not in wrong
    ]


def _order(mistake: SettingsProblem) -> tuple[bool, str, int]:
    return mistake.where == "environment", mistake.where, mistake.line or 0


def _finish(settings: Settings, layers: Layers, env: Mapping[str, str]) -> Settings:
    secrets = {
        name: SecretStr(env.get(f"DISPATCHER_{name.upper()}", "").strip()) for name in SECRETS
    }
    whole = settings.model_copy(update=secrets).with_environment(env)
    return whole.with_origins({".".join(path): o for path, o in layers.origins.items()})
