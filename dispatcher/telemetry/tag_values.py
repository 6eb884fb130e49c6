"""Tag values as Datadog stores them, and names that become the same one.

Source: Datadog's documentation, "Getting started with tags", the rules of defining tags.
"""

import re
from collections import defaultdict
from collections.abc import Iterable

_OTHER = re.compile(r"[^\w\-:./]")
_UNDERSCORES = re.compile(r"__+")
_MOST = 200


def tag_value(name: str) -> str:
    """Return what Datadog makes of a value: lower case, with underscores for other characters."""
    value = _UNDERSCORES.sub("_", _OTHER.sub("_", name.lower()))
    return value[:_MOST].rstrip("_")


def same_tags(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return each value that several of the names become, with these names."""
    groups = defaultdict(list)
    for name in dict.fromkeys(names):
        groups[tag_value(name)].append(name)
    return [(value, group) for value, group in groups.items() if len(group) > 1]
