"""``[[clients]]``: several OAuth clients, each with an alias, a quota and credentials."""

from collections.abc import Iterator

from dispatcher.settings.credentials import CLIENT_VARIABLES, CredentialsSettings
from dispatcher.settings.key_paths import CLIENTS, KeyPath
from dispatcher.settings.layers import Layers
from dispatcher.settings.model import Settings


def client_variables(client: str = "") -> tuple[str, str]:
    """Return the names of the variables with a client's id and secret; "" is the only client."""
    suffix = f"__{client.upper()}" if client else ""
    client_id, client_secret = CLIENT_VARIABLES
    return client_id + suffix, client_secret + suffix


def secret_variables(settings: Settings) -> tuple[str, str]:
    """Return the variables of the client that `per_client_settings` made these settings for."""
    return client_variables(settings.clients[0].name if settings.clients else "")


def credentials_sections(
    settings: Settings, layers: Layers
) -> Iterator[tuple[KeyPath, CredentialsSettings, tuple[str, str]]]:
    """Yield the key of each section of credentials, the section, and its client's variables.

    Clients with a wrong name are left out.
    """
    if not layers.items(CLIENTS):
        yield ("credentials",), settings.credentials, client_variables()
    for item, client in zip(layers.items(CLIENTS), settings.clients, strict=False):
        if layers.values.get((item, "name")) == client.name:
            yield (item, "credentials"), client.credentials, client_variables(client.name)


def per_client_settings(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """Yield each client's alias and the settings for it alone; the alias of the only one is ""."""
    if not settings.clients:
        yield "", settings
    for client in settings.clients:
        quota = client.requests_per_minute or settings.platform.requests_per_minute
        platform = settings.platform.model_copy(update={"requests_per_minute": quota})
        own = {"clients": (client,), "platform": platform, "credentials": client.credentials}
        yield client.name, settings.model_copy(update=own)


def requests_per_minute(settings: Settings) -> int:
    """Return the quotas of all clients together."""
    return sum(view.platform.requests_per_minute for _, view in per_client_settings(settings))
