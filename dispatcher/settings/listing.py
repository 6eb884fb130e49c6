"""Lists all settings: as keys with their values, and as text for people."""

from collections.abc import Iterator

from dispatcher.settings.field_types import SettingsSection, without_userinfo
from dispatcher.settings.model import INHERITED, SECRETS, Settings
from dispatcher.settings.toml_format import as_toml

_WIDE = 48
"""A longer line does not move the places of the others to the right."""


def describe(settings: Settings) -> str:
    """Return all settings as text, one a line, each with where it was set. No secrets."""
    rows = list(_described(settings))
    width = max(len(f"{key} = {value}") for key, value, _ in rows if len(value) < _WIDE)
    lines = (f"{f'{key} = {value}':<{width}}  # {place}" for key, value, place in rows)
    return "\n".join(lines)


def items(settings: Settings) -> Iterator[tuple[str, object]]:
    """Yield every key and its value, except secrets."""
    is_list = settings.origin("campaigns[1]") is not None
    skipped = {
        "campaigns",
        "clients",
        "sinks",
        *SECRETS,
        *(("campaign", "source") if is_list else ()),
    }
    for name, value in settings:
        if name not in skipped:
            yield from _leaves(name, value)
    for number, campaign in enumerate(settings.campaigns if is_list else (), 1):
        yield from _leaves(f"campaigns[{number}]", campaign)
    for number, client in enumerate(settings.clients, 1):
        quota = client.requests_per_minute or settings.platform.requests_per_minute
        shown = client.model_copy(update={"requests_per_minute": quota})
        yield from _leaves(f"clients[{number}]", shown)
    for number, sink in enumerate(settings.sinks, 1):
        yield from _leaves(f"sinks[{number}]", sink)


def _described(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield every key, its value as TOML writes it, and where it was set."""
    origin = settings.origin
    for key, value in items(settings):
        shown = without_userinfo(str(value)) if key == "platform.proxy" else value
        head, _, rest = key.partition(".")
        section = rest.partition(".")[0]
        inherited = section in INHERITED and not origin(f"{head}.{section}")
        yield key, as_toml(shown), str(origin(rest if inherited else key) or "default")
    if settings.credentials.source == "env" and not settings.clients:
        for name in SECRETS:
            secret = getattr(settings, name).get_secret_value()
            yield name, "(set)" if secret else "(not set)", "environment"


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield a key and its value, or those inside a section."""
    if isinstance(value, SettingsSection):
        for name, inner in value:
            yield from _leaves(f"{key}.{name}", inner)
    elif value is not None:  # a section that is not there
        yield key, value
