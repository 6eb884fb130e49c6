"""Libraries that only some sources need, and their loggers."""

import logging
from importlib import import_module
from types import ModuleType

from dispatcher.ports import CredentialsError

_LOGGERS_OF_SECRETS = ("boto3", "botocore", "hvac", "requests", "urllib3")


def import_optional(name: str, extra: str) -> ModuleType:
    """Import a library of an extra, and turn off its debug logs, which contain secrets.

    Raises:
        CredentialsError: it is not installed.

    """
    for logger in _LOGGERS_OF_SECRETS:
        logging.getLogger(logger).setLevel(logging.WARNING)
    try:
        return import_module(name)
    except ImportError:
        pass
    raise CredentialsError(
        f'credentials.source = "{extra}" needs the library {name}:'
        f" pip install 'dispatcher[{extra}]'"
    )
