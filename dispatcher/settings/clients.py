"""``[[clients]]``: several OAuth clients, each with an alias, a quota and credentials."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from dispatcher.settings.credentials import CredentialsSettings
from dispatcher.settings.keys import CLIENTS, KeyPath, hint_for_unknown
from dispatcher.settings.layers import Layers
from dispatcher.settings.mistakes import Mistake
from dispatcher.settings.model import SECRETS, ClientSettings, Settings


def variables(client: str = "") -> tuple[str, str]:
    """Return the names of the variables with a client's id and secret; "": of the only one."""
    behind = f"__{client.upper()}" if client else ""
    return f"DISPATCHER_CLIENT_ID{behind}", f"DISPATCHER_CLIENT_SECRET{behind}"


def stand_in(layers: Layers) -> None:
    """Put a name in the place of one that is missing or wrong."""
    for number, item in enumerate(layers.client_items, 1):
        layers.values.setdefault((item, "name"), f"client_{number}")


@dataclass(frozen=True, slots=True)
class Place:
    """A section that says where a client's credentials are: its path, and what is in it."""

    path: KeyPath
    section: CredentialsSettings
    variables: tuple[str, str]


def places(settings: Settings, layers: Layers) -> Iterator[Place]:
    """Yield the section of each client whose name is right; that of the only one on top."""
    if not layers.clients:
        yield Place(("credentials",), settings.credentials, variables())
        return
    for item, client in zip(layers.client_items, settings.clients, strict=False):
        if layers.values.get((item, "name")) == client.name:
            yield Place((item, "credentials"), client.credentials, variables(client.name))


def with_secrets(settings: Settings, env: Mapping[str, str]) -> Settings:
    """Return these settings with each client's id and secret."""
    clients = tuple(each.model_copy(update=_secrets(each.name, env)) for each in settings.clients)
    return settings.model_copy(update={"clients": clients, **_secrets("", env)})


def each_alone(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """Yield the settings as they are for each client alone, with its alias; "" for the only one."""
    if not settings.clients:
        yield "", settings
    for client in settings.clients:
        yield client.name, _alone(settings, client)


def requests_per_minute(settings: Settings) -> int:
    """Return the quotas of all clients together."""
    return sum(view.platform.requests_per_minute for _, view in each_alone(settings))


def mistakes(layers: Layers) -> list[Mistake]:
    """Name what is wrong with the list as a whole, and take out what does not belong there."""
    return [*_secrets_in_file(layers), *_twice(layers)]


def _alone(settings: Settings, client: ClientSettings) -> Settings:
    own = client.requests_per_minute or settings.platform.requests_per_minute
    platform = settings.platform.model_copy(update={"requests_per_minute": own})
    given = {"credentials": client.credentials, **{name: getattr(client, name) for name in SECRETS}}
    return settings.model_copy(update={"clients": (), "platform": platform, **given})


def _secrets(client: str, env: Mapping[str, str]) -> dict[str, SecretStr]:
    values = (SecretStr(env.get(variable, "").strip()) for variable in variables(client))
    return dict(zip(SECRETS, values, strict=True))


def _secrets_in_file(layers: Layers) -> Iterator[Mistake]:
    for path in [(item, name) for item in layers.client_items for name in SECRETS]:
        if layers.values.pop(path, None) is not None:
            origin = layers.origins.pop(path)
            hint = hint_for_unknown(path)
            yield Mistake(origin.where, ".".join(path), "is not known", hint, origin.line)


def _twice(layers: Layers) -> Iterator[Mistake]:
    seen: set[object] = set()
    for item in layers.client_items:
        name = layers.values.get((item, "name"))
        if isinstance(name, str) and name in seen:
            origin = layers.origins[item, "name"]
            problem = f"is the name of another of {CLIENTS} already"
            yield Mistake(origin.where, f"{item}.name", problem, "", origin.line)
        seen.add(name if isinstance(name, str) else None)
