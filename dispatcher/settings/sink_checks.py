"""Checks of ``[[sinks]]`` together with the other settings."""

from collections.abc import Iterator

from dispatcher.settings.key_paths import SINKS, KeyPath, item
from dispatcher.settings.model import Settings
from dispatcher.settings.sinks import KafkaSinkSettings, SqlSinkSettings

Finding = tuple[KeyPath, str, str]
"""The key, what is wrong with it, and a hint what to do."""


def find(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the sinks."""
    known = {campaign.name for campaign in settings.campaigns}
    for number, sink in enumerate(settings.sinks, 1):
        prefix = item(number, SINKS)
        for name in sink.campaigns:
            if name not in known:
                problem = f'has "{name}", which is no campaign of this configuration'
                yield (prefix, "campaigns"), problem, f"there are: {', '.join(sorted(known))}"
        if (
            isinstance(sink, SqlSinkSettings | KafkaSinkSettings)
            and sink.password_file
            and sink.password_variable
        ):
            problem = "is set together with password_variable"
            yield (prefix, "password_file"), problem, "keep one of the two"
