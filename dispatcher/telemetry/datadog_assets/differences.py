"""What differs between a file and what Datadog has."""

from collections.abc import Iterator
from typing import Any


def differences(wanted: Any, present: Any, path: str = "") -> Iterator[str]:
    """Yield the places whose value in ``present`` is not the one in ``wanted``.

    Fields that only ``present`` has are values that Datadog adds, such as ids, and no difference.
    Lists of texts, such as tags, are compared without their order.
    """
    if isinstance(wanted, dict) and isinstance(present, dict):
        for key, value in wanted.items():
            yield from differences(value, present.get(key), f"{path}.{key}" if path else key)
    elif isinstance(wanted, list) and isinstance(present, list):
        yield from _list_differences(wanted, present, path)
    elif not _same(wanted, present):
        yield path


def _list_differences(wanted: list[Any], present: list[Any], path: str) -> Iterator[str]:
    if all(isinstance(item, str) for item in (*wanted, *present)):
        if sorted(wanted) != sorted(present):
            yield path
    elif len(wanted) != len(present):
        yield path
    else:
        for index, pair in enumerate(zip(wanted, present, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")


def _same(wanted: Any, present: Any) -> bool:
    if isinstance(wanted, str) and isinstance(present, str):
        return wanted.strip() == present.strip()
    if isinstance(wanted, bool) or isinstance(present, bool):
        return wanted is present
    return bool(wanted == present)
