"""Checks of ``[source.kafka]``: the login, and the files of certificates."""

from functools import partial
from pathlib import Path

from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings

_LOGIN = ("sasl_username", "password_file", "password_variable")
_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")


def _password(s: Settings) -> Finding | None:
    kafka = s.source.kafka
    if kafka is None or not kafka.security_protocol.startswith("SASL"):
        return None
    if kafka.password_file and kafka.password_variable:
        return "is set together with password_variable", "keep one of the two"
    if not (kafka.password_file or kafka.password_variable):
        protocol = kafka.security_protocol
        return (
            f'is empty, and security_protocol is "{protocol}"',
            "name a file that has nothing but the password, or set password_variable",
        )
    return None


def _username(s: Settings) -> Finding | None:
    kafka = s.source.kafka
    if kafka is None or kafka.sasl_username or not kafka.security_protocol.startswith("SASL"):
        return None
    return f'is empty, and security_protocol is "{kafka.security_protocol}"', "set the user's name"


def _unused(s: Settings, key: str, part: str) -> Finding | None:
    """Report a key that the protocol does not use: the connection would be less safe than meant."""
    kafka = s.source.kafka
    if kafka is None or not getattr(kafka, key) or part in kafka.security_protocol:
        return None
    return (
        f'is set, and security_protocol is "{kafka.security_protocol}", which does not use it',
        'set security_protocol, for example "SASL_SSL", or remove the key',
    )


def _key_file(s: Settings) -> Finding | None:
    kafka = s.source.kafka
    if kafka is None or kafka.ssl_certfile or not kafka.ssl_keyfile:
        return None
    return "is set without ssl_certfile", "set both"


def _file(s: Settings, key: str) -> Finding | None:
    path = getattr(s.source.kafka, key, "")
    if not path or Path(path).is_file():
        return None
    return f'is not a file: "{path}"', "a file in PEM format"


_PROTOCOL = "source.kafka.security_protocol"
KAFKA = (
    Check(("source.kafka.password_file", "source.kafka.password_variable", _PROTOCOL), _password),
    Check(("source.kafka.sasl_username", _PROTOCOL), _username),
    *(
        Check((f"source.kafka.{key}", _PROTOCOL), partial(_unused, key=key, part="SASL"))
        for key in _LOGIN
    ),
    *(
        Check((f"source.kafka.{key}", _PROTOCOL), partial(_unused, key=key, part="SSL"))
        for key in _FILES
    ),
    Check(("source.kafka.ssl_keyfile", "source.kafka.ssl_certfile"), _key_file),
)
"""Settings of a topic that depend on each other."""

KAFKA_FILES = tuple(Check((f"source.kafka.{key}",), partial(_file, key=key)) for key in _FILES)
"""Files of certificates."""
