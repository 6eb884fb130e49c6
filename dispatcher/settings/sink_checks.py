"""Checks of ``[[sinks]]`` together with the other settings."""

from collections.abc import Iterator

from dispatcher.settings.key_paths import SINKS, KeyPath, item
from dispatcher.settings.model import Settings
from dispatcher.settings.sinks import (
    AnySink,
    KafkaSinkSettings,
    SnowflakeSinkSettings,
    SqlSinkSettings,
    WebhookSettings,
)
from dispatcher.settings.snowflake_checks import find_files, find_login

Finding = tuple[KeyPath, str, str]
"""The key, what is wrong with it, and a hint what to do."""


def find(settings: Settings, *, opened: bool) -> Iterator[Finding]:
    """Yield what is wrong with the sinks; files are looked for if the sinks are ``opened``."""
    known = {campaign.name for campaign in settings.campaigns}
    for number, sink in enumerate(settings.sinks, 1):
        prefix = item(number, SINKS)
        for name in sink.campaigns:
            if name not in known:
                problem = f'has "{name}", which is no campaign of this configuration'
                yield (prefix, "campaigns"), problem, f"there are: {', '.join(sorted(known))}"
        for key, problem, hint in _find_in(sink, opened=opened):
            yield (prefix, key), problem, hint


def _find_in(sink: AnySink, *, opened: bool) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with the keys of one sink."""
    if isinstance(sink, SnowflakeSinkSettings):
        files = find_files(sink) if opened else {}
        for key, finding in (files | find_login(sink)).items():
            yield key, *finding
    if not isinstance(sink, SqlSinkSettings | KafkaSinkSettings | WebhookSettings):
        return
    if sink.password_file and sink.password_variable:
        yield "password_file", "is set together with password_variable", "keep one of the two"
    if not isinstance(sink, KafkaSinkSettings):
        return
    if sink.security_protocol.startswith("SASL") != bool(sink.sasl_username):
        problem = f'does not fit security_protocol = "{sink.security_protocol}"'
        yield "sasl_username", problem, "set both for a login, or neither"
    if sink.ssl_keyfile and not sink.ssl_certfile:
        yield "ssl_keyfile", "is set without ssl_certfile", "set both"
