"""Where traces are sent: OpenTelemetry's own variables first, then the setting."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

TRACES_PATH = "v1/traces"
"""The path of traces below a base address (source: OTLP exporter specification)."""
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
ENDPOINT, BASE = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
SETTING = "telemetry.trace_endpoint"


def is_disabled(environ: Mapping[str, str] | None = None) -> bool:
    """Return True if ``OTEL_SDK_DISABLED`` turns traces off."""
    variables = os.environ if environ is None else environ
    return variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def find_endpoint(endpoint: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the address that spans are posted to.

    ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` overrides ``OTEL_EXPORTER_OTLP_ENDPOINT``, to which the
    path is added, and that the argument. An empty variable counts as one that is not set.

    Raises:
        ValueError: it is not an address for OTLP over HTTP. The message starts with the name of
            the variable or setting, and does not quote the value, which may have a password.

    """
    variables = os.environ if environ is None else environ
    for name in PROTOCOLS:
        protocol = variables.get(name, "").strip()
        if protocol not in {"", "http/protobuf"}:
            raise ValueError(
                f"{name} is not http/protobuf, the only protocol that is supported: unset it; the "
                "port of OTLP over HTTP is usually 4318"
            )
    if own := variables.get(ENDPOINT, "").strip():
        return _checked(ENDPOINT, own)
    if base := variables.get(BASE, "").strip():
        return f"{_checked(BASE, base).rstrip('/')}/{TRACES_PATH}"
    return _checked(SETTING, endpoint)


def place(endpoint: str) -> str:
    """Return the host and port of an address, without what may be secret in it."""
    parts = urlsplit(endpoint)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _checked(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{name} is not an address: it must be http://HOST:PORT{_path(name)}")
    return url


def _path(name: str) -> str:
    return "" if name == BASE else f"/{TRACES_PATH}"
