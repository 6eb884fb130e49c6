"""Where the Datadog agent listens: Datadog's own variables first, then the settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PORT = 8125
"""The port that an agent listens on unless told otherwise."""

_UNIX_SCHEMES = ("unix", "unixgram", "unixstream")
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """An agent's address: ``socket_path`` if it is set, else ``host`` and ``port`` by UDP.

    ``socket_path`` is a path or a ``unix://``, ``unixgram://`` or ``unixstream://`` URL.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    socket_path: str | None = None


def find_agent(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    socket_path: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> AgentAddress:
    """Return the agent to send to.

    ``DD_DOGSTATSD_URL`` wins over ``DD_DOGSTATSD_SOCKET``, that over ``DD_AGENT_HOST`` and
    ``DD_DOGSTATSD_PORT``, and each of them over the arguments. An empty variable counts as
    one that is not set. ``host`` may be a ``unix://`` URL.

    Raises:
        ValueError: a variable or an argument is no address; the message names it.

    """
    env = os.environ if environ is None else environ
    if url := env.get("DD_DOGSTATSD_URL"):
        return _from_url("DD_DOGSTATSD_URL", url)
    if path := env.get("DD_DOGSTATSD_SOCKET"):
        return AgentAddress(socket_path=path)
    env_host, env_port = env.get("DD_AGENT_HOST"), env.get("DD_DOGSTATSD_PORT")
    if env_port:
        port = _port("DD_DOGSTATSD_PORT", env_port)
    if env_host:
        host = env_host
    elif socket_path and not env_port:
        return AgentAddress(socket_path=socket_path)
    if "://" in host:
        return _from_url("DD_AGENT_HOST" if env_host else "telemetry.statsd_host", host)
    return AgentAddress(host=host, port=port)


def _from_url(name: str, url: str) -> AgentAddress:
    parts = urlsplit(url)
    if parts.scheme in _UNIX_SCHEMES and parts.path:
        return AgentAddress(socket_path=url)
    if parts.scheme != "udp" or not parts.hostname:
        raise ValueError(f"{name} is {url!r}: it must be udp://HOST:PORT or unix:///PATH/TO/SOCKET")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError as error:
        raise ValueError(f"{name} is {url!r}: its port is no number up to 65535") from error
    return AgentAddress(host=parts.hostname, port=port)


def _port(name: str, value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) <= _LAST_PORT:
        raise ValueError(f"{name} is {value!r}: it must be a port from 1 to {_LAST_PORT}")
    return int(value)
