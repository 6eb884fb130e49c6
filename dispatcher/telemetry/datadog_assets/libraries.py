"""The libraries that only the commands for Datadog's assets need."""

from importlib import import_module
from types import ModuleType
from typing import ClassVar

from dispatcher.domain.errors import DispatcherError, ExitCode


class DatadogLibraryError(DispatcherError):
    """A library of the extra ``datadog`` is not installed."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


def import_datadog_library(name: str) -> ModuleType:
    """Import a module of the extra ``datadog``: Datadog's API client, or PyYAML.

    Raises:
        DatadogLibraryError: it is not installed.

    """
    try:
        return import_module(name)
    except ImportError:
        pass
    raise DatadogLibraryError(
        f"this command needs the library {name.partition('.')[0]}: pip install "
        "'dispatcher[datadog]'"
    )
