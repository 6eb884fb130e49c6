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
        # not out of `sys.modules`: another thread may have begun to import it
        with nullcontext() if self._name in sys.modules else self._during():
            package = importlib.import_module(self._name)
        return getattr(package, attribute)
