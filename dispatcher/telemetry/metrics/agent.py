"""Where the Datadog agent listens: Datadog's own variables first, then the settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PORT = 8125
"""The port that an agent listens on by default."""


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

    ``DD_DOGSTATSD_URL`` overrides ``DD_DOGSTATSD_SOCKET``, that ``DD_AGENT_HOST`` and
    ``DD_DOGSTATSD_PORT``, and each of them the arguments. An empty variable counts as one that
    is not set. ``host`` may be a ``unix://`` URL.

    The datadog package reads these variables too, but it sends to localhost where one is wrong,
    and ignores ``DD_DOGSTATSD_SOCKET`` and a ``unix://`` URL in ``DD_AGENT_HOST``.

    Raises:
        ValueError: a variable or an argument is not an address; the message starts with its name.

    """
    names = ("DD_DOGSTATSD_URL", "DD_DOGSTATSD_SOCKET", "DD_AGENT_HOST", "DD_DOGSTATSD_PORT")
    url, env_path, env_host, env_port = map((os.environ if environ is None else environ).get, names)
    if url:
        return _from_url("DD_DOGSTATSD_URL", url)
    if env_path or (socket_path and not env_host and not env_port):
        return AgentAddress(socket_path=env_path or socket_path)
    if env_port and not (env_port.isdecimal() and 0 < int(env_port) < 2**16):
        raise ValueError(f"DD_DOGSTATSD_PORT is {env_port!r}: it must be a port from 1 to 65535")
    host = env_host or host
    if "://" in host:
        return _from_url("DD_AGENT_HOST" if env_host else "telemetry.statsd_host", host)
    return AgentAddress(host, int(env_port or port))


def _from_url(name: str, url: str) -> AgentAddress:
    parts = urlsplit(url)
    if parts.scheme in {"unix", "unixgram", "unixstream"} and parts.path:
        return AgentAddress(socket_path=url)
    if parts.scheme != "udp" or not parts.hostname:
        raise ValueError(f"{name} is {url!r}: it must be udp://HOST:PORT or unix:///PATH/TO/SOCKET")
    try:
        return AgentAddress(parts.hostname, parts.port or DEFAULT_PORT)
    except ValueError as error:
        raise ValueError(f"{name} is {url!r}: its port must be a number up to 65535") from error
