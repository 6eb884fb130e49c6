"""Object stores by obstore: opened by their addresses; the statuses of their answers."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from dispatcher.drivers.errors import DriverError

SCHEMES = ("s3", "gs", "az", "http", "https")
NOT_FOUND = 404

_TIMEOUT = timedelta(seconds=30)
_RETRIES = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}
"""The library's own tries; after them the store counts as away, and the pauses are ours."""
_STATUS = re.compile(r"status code: (\d{3})")


def split_address(url: str) -> tuple[str, str]:
    """Return the root of an address and what follows: ``s3://bucket`` and a key, or a part of one.

    The root of ``az`` is an account and a container, that of HTTP a server.

    Raises:
        DriverError: it is no address of objects, or it has a user name or a password.

    """
    parts = urlsplit(url.replace("?", "%3F").replace("#", "%23"))
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise DriverError(
            "is not an address of objects; write one such as s3://bucket/folder/*.csv, "
            f"with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
        )
    if parts.username or parts.password:
        raise DriverError("has a user name or a password; credentials are kept elsewhere")
    key = parts.path.removeprefix("/").replace("%3F", "?").replace("%23", "#")
    root = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme == "az":
        container, _, key = key.partition("/")
        root = f"{root}/{container}"
    return root, key


def open_store(root: str, config: Mapping[str, str], *, allow_http: bool, prefix: str = "") -> Any:
    """Return the store of a root; nothing is requested yet.

    ``config`` is the library's own, for example ``endpoint`` and ``region``. With ``prefix`` all
    keys are below it. ``allow_http`` permits requests without TLS.

    Raises:
        DriverError: the store cannot be opened with these settings.

    """
    from obstore.store import AzureStore, from_url  # noqa: PLC0415 - an optional extra

    client: Any = {"timeout": _TIMEOUT, "allow_http": allow_http}
    common: Any = {"client_options": client, "retry_config": _RETRIES}
    settings: Any = dict(config)
    scheme, _, place = root.partition("://")
    address = f"{root}/{prefix}" if prefix else root
    try:
        if scheme == "az":
            account, _, container = place.partition("/")
            settings = {"account_name": account, **settings}
            return AzureStore(container, prefix=prefix or None, config=settings, **common)
        if scheme.startswith("http"):
            return from_url(address, **common)
        return from_url(address, config=settings, **common)
    except Exception:  # noqa: BLE001 - the library's errors share no base class
        raise DriverError(f"{root}: the store cannot be opened with these settings") from None


def status_of(error: BaseException) -> int | None:
    """Return the status of the HTTP answer behind an error of obstore; None if there was none."""
    match = _STATUS.search(str(error))
    if match is not None:
        return int(match.group(1))
    return NOT_FOUND if isinstance(error, FileNotFoundError) else None
