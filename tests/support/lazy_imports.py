"""Packages that few tests need and that take long to import: imported at their first use."""

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Lazily:
    """A package, imported when something of it is used, within what ``during`` returns."""

    def __init__(
        self, name: str, during: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._name = name
        self._during = during

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # pytest asks what it finds in a module for its own marks
            raise AttributeError(attribute)
        if self._name not in sys.modules:
            with self._during():
                importlib.import_module(self._name)
        return getattr(sys.modules[self._name], attribute)
