"""Rules about several settings together, and how they are checked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dispatcher.settings.key_paths import KeyPath
from dispatcher.settings.model import CAMPAIGN_SECTIONS, Settings

Finding = tuple[str, str]
"""What is wrong, and a hint what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, which is checked only if all keys that it needs have valid values.

    ``test`` returns None if nothing is wrong. A finding is reported for the first key.
    """

    needs: tuple[str, ...]
    test: Callable[[Settings], Finding | None]


def apply(
    checks: tuple[Check, ...],
    settings: Settings,
    invalid: frozenset[str],
    views: Sequence[tuple[str, Settings]],
) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the key, the problem and the hint of each rule that is broken.

    ``invalid`` are the keys with invalid values. ``views`` are the settings of each campaign, with
    the prefix of its keys; a rule about a section of campaigns is checked for each of them.
    """
    for check in checks:
        per_campaign = check.needs[0].split(".")[0] in CAMPAIGN_SECTIONS
        for prefix, view in views if per_campaign else [("", settings)]:
            needs = [prefix + key for key in check.needs]
            finding = None if invalid.intersection(needs) else check.test(view)
            if finding is not None:
                yield tuple(needs[0].split(".")), *finding
