"""The arguments of aiokafka's clients: the brokers, the login and TLS."""

import logging
import ssl
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol


class Brokers(Protocol):
    """How the brokers are reached."""

    @property
    def servers(self) -> str:
        """The brokers to begin with: host:port, separated by commas."""
        ...

    @property
    def protocol(self) -> str:
        """``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``."""
        ...

    @property
    def mechanism(self) -> str:
        """The mechanism of SASL."""
        ...

    @property
    def username(self) -> str:
        """The user of SASL."""
        ...

    @property
    def password(self) -> str:
        """The password of SASL."""
        ...

    @property
    def ca_file(self) -> str:
        """The certificates that are trusted, in PEM; empty: those of the system."""
        ...

    @property
    def certificate_file(self) -> str:
        """The client's certificate, in PEM; empty: none."""
        ...

    @property
    def key_file(self) -> str:
        """The key of the certificate; empty: it is in the same file."""
        ...

    @property
    def answer_seconds(self) -> float:
        """How long an answer may take."""
        ...


class TlsFilesError(Exception):
    """A file of TLS cannot be read; the message says why."""


def load_aiokafka() -> Any:
    """Return aiokafka, without its log: what it would report is shown in other ways.

    Raises:
        ImportError: it is not installed.

    """
    library = import_module("aiokafka")
    import_module("aiokafka.admin")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return library


def client_arguments(brokers: Brokers) -> dict[str, Any]:
    """Return the arguments that every client of the library takes.

    Raises:
        TlsFilesError: a file of TLS cannot be read.

    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": _split(brokers.servers),
        "client_id": "dispatcher",
        "request_timeout_ms": int(brokers.answer_seconds * 1000),
        "security_protocol": brokers.protocol,
    }
    if brokers.protocol.endswith("SSL"):
        arguments["ssl_context"] = _tls(brokers)
    if brokers.protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = brokers.mechanism
        arguments["sasl_plain_username"] = brokers.username
        arguments["sasl_plain_password"] = brokers.password
    return arguments


def _tls(brokers: Brokers) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=brokers.ca_file or None)
        if brokers.certificate_file:
            context.load_cert_chain(brokers.certificate_file, brokers.key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise TlsFilesError(error.strerror or str(error)) from None
    return context


def _split(servers: str) -> Sequence[str]:
    return [server.strip() for server in servers.split(",") if server.strip()]
