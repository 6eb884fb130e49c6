"""Connects to the server of a webhook, for people who check a configuration."""

import asyncio
import ssl
import urllib.request
from urllib.parse import urlsplit

from dispatcher.ports.sink import SinkError

CONNECT_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}


async def check_webhook(name: str, url: str) -> str:
    """Connect to the server of a webhook, with TLS if it has that; return what was seen, in words.

    No notice is posted: it would be taken for a real one. Behind a proxy nothing is connected.

    Raises:
        SinkError: the server does not answer, or its certificate is not accepted.

    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return "behind a proxy: it is not known whether the server answers"
    context = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            port = parts.port or _PORTS[parts.scheme]
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.close()
    except TimeoutError:
        reason = f"no connection within {CONNECT_SECONDS:g} s"
    except (OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
    else:
        return f"{parts.netloc} accepts connections; no notice was posted"
    raise SinkError(f"sink {name}: {parts.netloc}: {reason}; check url, and the network")
