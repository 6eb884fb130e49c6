"""Engines of SQLAlchemy: one connection, a password that is never shown, errors in words."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from dispatcher.drivers.errors import DriverError

CONNECT_SECONDS = 10
"""How long a driver waits for a server that does not answer when it connects."""


def load_sqlalchemy() -> Any:
    """Return sqlalchemy.

    Raises:
        DriverError: it is not installed.

    """
    try:
        return import_module("sqlalchemy")
    except ImportError:
        raise DriverError(
            "a SQL database needs the package sqlalchemy: pip install 'dispatcher[sql]'"
        ) from None


def open_engine(
    url: str, password: str, arguments: Callable[[str], Mapping[str, object]] | None = None
) -> Any:
    """Return an engine with one connection at most; nothing is connected yet.

    ``url`` is SQLAlchemy's, without the password. ``arguments`` returns those of a driver, by its
    name.

    Raises:
        DriverError: the package or the driver is not installed, or the URL is none.

    """
    library = load_sqlalchemy()
    try:
        parts = library.make_url(url)
        if password:
            parts = parts.set(password=password)
        connect = dict(arguments(parts.get_driver_name())) if arguments is not None else {}
        return library.create_engine(
            parts,
            hide_parameters=True,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=connect,
        )
    except ModuleNotFoundError as error:
        raise DriverError(
            f"the driver {error.name} is not installed; install it, for PostgreSQL with "
            "pip install 'dispatcher[postgres]'"
        ) from None
    except (library.exc.ArgumentError, ValueError):
        raise DriverError(
            "it is not a URL of SQLAlchemy, such as postgresql+psycopg://user@host/database"
        ) from None


def connect_limit(driver: str) -> dict[str, object]:
    """Return a driver's argument that limits how long it connects; none for one not known."""
    return {"connect_timeout": CONNECT_SECONDS} if driver in ("psycopg", "pymysql") else {}


def first_line(error: object, password: str) -> str:
    """Return the first line of a driver's message, without the password."""
    line = (str(error).splitlines() or [""])[0][:300]
    return line.replace(password, "***") if password else line
