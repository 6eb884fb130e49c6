"""``[[clients]]``: several OAuth clients, each with an alias, a quota and credentials."""

from collections.abc import Iterator
from typing import NamedTuple

from dispatcher.settings.credentials import CLIENT_VARIABLES, CredentialsSettings
from dispatcher.settings.errors import SettingsProblem
from dispatcher.settings.key_paths import CLIENTS, KeyPath
from dispatcher.settings.layers import Layers
from dispatcher.settings.model import ClientSettings, Settings


class Place(NamedTuple):
    """A section of credentials: its key, and the variables that it may name."""

    path: KeyPath
    section: CredentialsSettings
    variables: tuple[str, str]


def variables(client: str = "") -> tuple[str, str]:
    """Return the names of the variables with a client's id and secret; "": of the only one."""
    behind = f"__{client.upper()}" if client else ""
    client_id, client_secret = CLIENT_VARIABLES
    return client_id + behind, client_secret + behind


def variables_of(settings: Settings) -> tuple[str, str]:
    """Return those of the client that `each_alone` gave these settings for."""
    return variables(settings.clients[0].name if settings.clients else "")


def fill_placeholders(layers: Layers) -> None:
    """Put a name in the place of one that is missing or wrong."""
    for number, item in enumerate(layers.client_items, 1):
        layers.values.setdefault((item, "name"), f"client_{number}")


def places(settings: Settings, layers: Layers) -> Iterator[Place]:
    """Yield every section of credentials that a run needs, where the names of clients are right."""
    if not layers.clients:
        yield Place(("credentials",), settings.credentials, variables())
    for item, client in zip(layers.client_items, settings.clients, strict=False):
        if layers.values.get((item, "name")) == client.name:
            yield Place((item, "credentials"), client.credentials, variables(client.name))


def per_client_settings(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """Yield the settings as they are for each client alone, with its alias; "" for the only one."""
    if not settings.clients:
        yield "", settings
    for client in settings.clients:
        yield client.name, _alone(settings, client)


def requests_per_minute(settings: Settings) -> int:
    """Return the quotas of all clients together."""
    return sum(view.platform.requests_per_minute for _, view in per_client_settings(settings))


def mistakes(layers: Layers) -> list[SettingsProblem]:
    """Name what is wrong with the list as a whole."""
    return list(_twice(layers))


def _alone(settings: Settings, client: ClientSettings) -> Settings:
    own = client.requests_per_minute or settings.platform.requests_per_minute
    platform = settings.platform.model_copy(update={"requests_per_minute": own})
    view = {"clients": (client,), "platform": platform, "credentials": client.credentials}
    return settings.model_copy(update=view)


def _twice(layers: Layers) -> Iterator[SettingsProblem]:
    seen: set[object] = set()
    for item in layers.client_items:
        name = layers.values.get((item, "name"))
        if isinstance(name, str) and name in seen:
            origin = layers.origins[item, "name"]
            problem = f"is the name of another of {CLIENTS} already"
            yield SettingsProblem(origin.where, f"{item}.name", problem, "", origin.line)
        seen.add(name if isinstance(name, str) else None)
