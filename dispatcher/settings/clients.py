"""``[[clients]]``: several OAuth clients, each with an alias, a quota and credentials."""

from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from dispatcher.settings.keys import CLIENTS, hint_for_unknown
from dispatcher.settings.layers import Layers
from dispatcher.settings.mistakes import Mistake
from dispatcher.settings.model import SECRETS, ClientSettings, Settings


def variables(client: str = "") -> tuple[str, ...]:
    """Return the names of the variables with a client's id and secret; "": of the only one."""
    behind = f"__{client.upper()}" if client else ""
    return tuple(f"DISPATCHER_{name.upper()}{behind}" for name in SECRETS)


def stand_in(layers: Layers) -> None:
    """Put a name in the place of one that is missing or wrong."""
    for number, item in enumerate(layers.client_items, 1):
        layers.values.setdefault((item, "name"), f"client_{number}")


def needed(settings: Settings, layers: Layers) -> list[str]:
    """Return the names of all variables that a run needs, where the names of clients are right."""
    if not layers.clients:
        return list(variables())
    given = {layers.values.get((item, "name")) for item in layers.client_items}
    names = dict.fromkeys(each.name for each in settings.clients if each.name in given)
    return [variable for name in names for variable in variables(name)]


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
    secrets = {name: getattr(client, name) for name in SECRETS}
    return settings.model_copy(update={"clients": (), "platform": platform, **secrets})


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
