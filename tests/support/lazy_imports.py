"""Packages that few tests need and that take long to import: imported at their first use."""

import importlib
from typing import Any


class Lazily:
    """A package, imported when something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # pytest asks what it finds in a module for its own marks
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
