"""The two forms of campaigns: one in the short form on top, or a list of them."""

from collections.abc import Iterator

from dispatcher.settings.errors import DEFAULTS, SettingOrigin, SettingsProblem
from dispatcher.settings.key_paths import LIST, item
from dispatcher.settings.layers import Layers
from dispatcher.settings.model import CAMPAIGN_SECTIONS, INHERITED, CampaignSettings, Settings
from dispatcher.settings.value_sources import FLAGS

STDIN = "-"
"""The source path that means standard input."""

_NEEDED = {("campaign",): "none", ("source", "path"): STDIN}
_OWN = {("name",): "none", ("source", "path"): STDIN}


def fill_placeholders(layers: Layers, *, complete: bool) -> None:
    """Put something in the place of what one campaign needs.

    Where campaigns are listed the short form has nothing of its own. ``complete``: of each
    campaign, too, whatever may be missing.
    """
    needed = dict(_NEEDED) if layers.listed or complete else {}
    if complete:
        needed.update(
            {(name, *path): value for name in layers.items for path, value in _OWN.items()}
        )
    for path, value in needed.items():
        layers.values.setdefault(path, value)


def take_choice(layers: Layers) -> str | None:
    """Take ``--campaign`` for a choice among the listed ones; None if there is none."""
    flag = layers.origins.get(("campaign",))
    if not layers.listed or flag is None or flag.where != FLAGS["campaign"]:
        return None
    del layers.origins["campaign",]
    return str(layers.values.pop(("campaign",)))


def mistakes(layers: Layers, chosen: str | None) -> list[SettingsProblem]:
    """Name what is wrong with the list as a whole, and take out what does not go with it."""
    if not layers.listed:
        return []
    found = [*_both_forms(layers), *_twice(layers)]
    if not layers.campaigns and not any(each.key == LIST for each in layers.mistakes):
        found.append(SettingsProblem("settings", LIST, "is empty", "write [[campaigns]] for each"))
    names = [layers.values.get((name, "name")) for name in layers.items]
    if chosen is not None and chosen not in names:
        known = ", ".join(str(name) for name in names if name) or "none"
        flag = FLAGS["campaign"]
        found.append(
            SettingsProblem(flag, "campaign", f'"{chosen}" is not listed', f"there are: {known}")
        )
    return found


def complete(settings: Settings) -> Settings:
    """Bring both forms together: ``campaigns`` has them all, the top has the first one's own."""
    if not settings.campaigns:
        sections = {name: getattr(settings, name) for name in CAMPAIGN_SECTIONS}
        whole = CampaignSettings(name=settings.campaign, **sections)
        return settings.model_copy(update={"campaigns": (whole,)})
    campaigns = tuple(_inheriting(each, settings) for each in settings.campaigns)
    first = settings.only(campaigns[0])
    return first.model_copy(update={"campaigns": campaigns})


def chosen_alone(settings: Settings, layers: Layers, chosen: str | None) -> Settings:
    """Leave out every campaign but the chosen one, which becomes the first."""
    for name, campaign in zip(layers.items, settings.campaigns, strict=False):
        if campaign.name == chosen:
            origins = [(path, origin) for path, origin in layers.origins.items() if path[0] == name]
            for path in [path for path in layers.origins if path[0] in layers.items]:
                del layers.origins[path]
            layers.origins.update({(item(1), *path[1:]): origin for path, origin in origins})
            return settings.only(campaign)
    return settings


def views(settings: Settings, layers: Layers, chosen: str | None) -> list[tuple[str, Settings]]:
    """Return the settings as each campaign has them, with what stands in front of its keys."""
    if not layers.listed:
        return [("", settings)]
    return [
        (f"{item(number)}.", settings.only(each))
        for number, each in enumerate(settings.campaigns, 1)
        if chosen in (None, each.name)
    ]


def _inheriting(campaign: CampaignSettings, settings: Settings) -> CampaignSettings:
    missing = [name for name in INHERITED if name not in campaign.model_fields_set]
    return campaign.model_copy(update={name: getattr(settings, name) for name in missing})


def _both_forms(layers: Layers) -> Iterator[SettingsProblem]:
    short = {"campaign", *CAMPAIGN_SECTIONS}.difference(INHERITED)
    for path in [path for path in layers.values if path[0] in short]:
        del layers.values[path]
        origin = layers.origins.pop(path, SettingOrigin(DEFAULTS))
        key, hint = ".".join(path), "write it there, under each campaign"
        hint = "each has a name of its own" if key == "campaign" else hint
        problem = "cannot be set together with [[campaigns]]"
        yield SettingsProblem(origin.where, key, problem, hint, origin.line)


def _twice(layers: Layers) -> Iterator[SettingsProblem]:
    for key, problem in (
        (("name",), "is the name of another campaign already"),
        (("source", "path"), "is standard input, which another campaign reads already"),
    ):
        seen: set[object] = set()
        for name in layers.items:
            value = layers.values.get((name, *key))
            if value in seen and (key == ("name",) or value == STDIN):
                origin = layers.origins[(name, *key)]
                yield SettingsProblem(
                    origin.where, ".".join((name, *key)), problem, "", origin.line
                )
            if isinstance(value, str):
                seen.add(value)
