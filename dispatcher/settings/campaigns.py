"""The two forms of campaigns: a single one in the short form, or a list of them."""

from collections.abc import Iterator

from dispatcher.settings.errors import DEFAULTS, SettingOrigin, SettingsProblem
from dispatcher.settings.key_paths import CAMPAIGNS, LIST_KEYS, KeyPath, item
from dispatcher.settings.layers import Layers
from dispatcher.settings.model import CAMPAIGN_SECTIONS, INHERITED, CampaignSettings, Settings
from dispatcher.settings.source_kinds import WITH_PATH
from dispatcher.settings.value_sources import FLAGS

STDIN = "-"
"""The source path that means standard input."""

UNNAMED = "none"
"""The name of a campaign that has none, where that is permitted."""


def fill_placeholders(layers: Layers, *, complete: bool) -> None:
    """Set a placeholder for each value that a campaign needs and that is missing.

    If campaigns are listed, the short form's values need one. With ``complete`` each campaign's
    values do, too, because they may be missing.
    """
    kind = layers.values.get(("source", "kind"), WITH_PATH[0])
    if layers.listed or complete:
        layers.values.setdefault(("campaign",), UNNAMED)
        _fill_path(layers, ("source",), kind, complete=complete)
    for name in layers.items() if complete else ():
        layers.values.setdefault((name, "name"), UNNAMED)
        own_kind = layers.values.get((name, "source", "kind"), kind)
        _fill_path(layers, (name, "source"), own_kind, complete=True)


def _fill_path(layers: Layers, section: KeyPath, kind: object, *, complete: bool) -> None:
    """Set a placeholder for the path of a source that needs one.

    With ``complete`` nothing is read, so the placeholder cannot conflict with ``watch``.
    """
    if kind not in WITH_PATH or (*section, "path") in layers.values:
        return
    layers.values[(*section, "path")] = STDIN
    if complete:
        layers.values[(*section, "watch")] = False


def pop_missing_paths(layers: Layers) -> Iterator[KeyPath]:
    """Yield the key of each source that needs a path and has none; set a placeholder for it."""
    prefixes: list[KeyPath] = [(name,) for name in layers.items()] if layers.listed else [()]
    for prefix in prefixes:
        section = (*prefix, "source")
        path, kind = (*section, "path"), layers.values.get((*section, "kind"), WITH_PATH[0])
        if kind in WITH_PATH and path not in layers.values and section not in layers.values:
            layers.values[path] = STDIN
            yield path


def pop_selection(layers: Layers) -> str | None:
    """Remove and return the ``--campaign`` that selects a listed one; None if there is none."""
    flag = layers.origins.get(("campaign",))
    if not layers.listed or flag is None or flag.where != FLAGS["campaign"]:
        return None
    del layers.origins["campaign",]
    return str(layers.values.pop(("campaign",)))


def problems(layers: Layers, selected: str | None) -> list[SettingsProblem]:
    """Return the problems of the lists; remove values that are not allowed beside campaigns."""
    found = list(_repeated(layers))
    if not layers.listed:
        return found
    found += _both_forms(layers)
    if not layers.items() and not any(problem.key == CAMPAIGNS for problem in layers.problems):
        found.append(
            SettingsProblem("settings", CAMPAIGNS, "is empty", "write [[campaigns]] for each")
        )
    names = [layers.values.get((name, "name")) for name in layers.items()]
    if selected is not None and selected not in names:
        known = ", ".join(str(name) for name in names if name) or "none"
        problem, hint = f'"{selected}" is not listed', f"there are: {known}"
        found.append(SettingsProblem(FLAGS["campaign"], "campaign", problem, hint))
    return found


def complete(settings: Settings) -> Settings:
    """Return the settings with both forms: all ``campaigns``, and the first one's at the top."""
    if not settings.campaigns:
        sections = {name: getattr(settings, name) for name in CAMPAIGN_SECTIONS}
        campaign = CampaignSettings(name=settings.campaign, **sections)
        return settings.model_copy(update={"campaigns": (campaign,)})
    campaigns = []
    for campaign in settings.campaigns:
        missing = [name for name in INHERITED if name not in campaign.model_fields_set]
        inherited = {name: getattr(settings, name) for name in missing}
        campaigns.append(campaign.model_copy(update=inherited))
    return settings.only(campaigns[0]).model_copy(update={"campaigns": tuple(campaigns)})


def select(settings: Settings, layers: Layers, selected: str | None) -> Settings:
    """Remove every campaign but the selected one, which becomes the first."""
    for name, campaign in zip(layers.items(), settings.campaigns, strict=False):
        if campaign.name == selected:
            origins = [(path, origin) for path, origin in layers.origins.items() if path[0] == name]
            for path in [path for path in layers.origins if path[0] in layers.items()]:
                del layers.origins[path]
            layers.origins.update({(item(1), *path[1:]): origin for path, origin in origins})
            return settings.only(campaign)
    return settings


def views(settings: Settings, layers: Layers, selected: str | None) -> list[tuple[str, Settings]]:
    """Return the settings of each campaign, with the prefix of its keys."""
    if not layers.listed:
        return [("", settings)]
    return [
        (f"{item(number)}.", settings.only(campaign))
        for number, campaign in enumerate(settings.campaigns, 1)
        if selected in (None, campaign.name)
    ]


def _both_forms(layers: Layers) -> Iterator[SettingsProblem]:
    short_form = {"campaign", *CAMPAIGN_SECTIONS}.difference(INHERITED)
    for path in [path for path in layers.values if path[0] in short_form]:
        origin = layers.pop(path) or SettingOrigin(DEFAULTS)
        hint = "write it under each campaign"
        if path == ("campaign",):
            hint = "each campaign has a name"
        yield origin.problem(".".join(path), "cannot be set together with [[campaigns]]", hint)


def _repeated(layers: Layers) -> Iterator[SettingsProblem]:
    for list_key in LIST_KEYS:
        problem = f"is already the name of another {list_key.removesuffix('s')}"
        for path in layers.repeated(list_key, "name"):
            yield layers.origins[path].problem(".".join(path), problem)
    yield from _same_tags(layers)
    for path in layers.repeated(CAMPAIGNS, "source", "path"):
        if layers.values[path] == STDIN:
            problem = "is standard input, which another campaign reads already"
            yield layers.origins[path].problem(".".join(path), problem)


def _same_tags(layers: Layers) -> Iterator[SettingsProblem]:
    """Return names that differ in the case of their letters alone: Datadog adds their metrics up.

    It converts the values of tags to lower case.
    """
    earlier: dict[str, str] = {}
    for path in ((name, "name") for name in layers.items()):
        value = str(layers.values.get(path, ""))
        before = earlier.setdefault(value.lower(), value)
        if before != value:
            problem = f'differs from the campaign "{before}" only in the case of its letters'
            hint = "Datadog would add the metrics of both up: use another name"
            yield layers.origins[path].problem(".".join(path), problem, hint)
