"""Checks of several settings together, or of the files that they name."""

import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dispatcher.domain.loopback import is_loopback
from dispatcher.drivers.object_store import SCHEMES
from dispatcher.ledgers.file_system import network_file_system
from dispatcher.platforms.genesys.regions import REGIONS, api_url, login_url
from dispatcher.ports import SourceError
from dispatcher.settings.campaigns import STDIN
from dispatcher.settings.credentials import is_installed
from dispatcher.settings.key_paths import KeyPath
from dispatcher.settings.model import CAMPAIGN_SECTIONS, Settings
from dispatcher.settings.sms_text import alphabet_warning
from dispatcher.settings.source_kinds import NEEDED_SECTIONS, SECTIONS, WITH_PATH
from dispatcher.sources.objects.patterns import parse_address
from dispatcher.sources.options import MEANINGS, normal_name
from dispatcher.telemetry.tag_values import same_tags

TRACE_LIBRARIES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
"""What the extra ``otel`` installs."""

Finding = tuple[str, str]
"""What is wrong, and a hint what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, which is checked only if all keys that it needs have valid values.

    ``test`` returns None if nothing is wrong. A finding is reported for the first key.
    """

    needs: tuple[str, ...]
    test: Callable[[Settings], Finding | None]


def _backoff(s: Settings) -> Finding | None:
    if s.retry.backoff_seconds <= s.retry.backoff_max_seconds:
        return None
    return f"must not be below backoff_seconds ({s.retry.backoff_seconds:g})", ""


def _stdin(s: Settings) -> Finding | None:
    if s.source.watch and s.source.path == STDIN:
        return "cannot be true for standard input", "name a folder in source.path"
    return None


def _path(s: Settings) -> Finding | None:
    kind = s.source.kind
    if kind not in WITH_PATH and s.source.path not in ("", STDIN):
        return f'is set, and source.kind is "{kind}"', "remove it, or set another kind"
    return None


def _section(s: Settings) -> Finding | None:
    kind = s.source.kind
    if kind not in NEEDED_SECTIONS or getattr(s.source, kind) is not None:
        return None
    return (
        f'is "{kind}", and there is no section [source.{kind}]',
        f"see config/examples/{kind}.toml",
    )


def _password(s: Settings) -> Finding | None:
    sql = s.source.sql
    if sql is None or not (sql.password_file and sql.password_variable):
        return None
    return "is set together with password_variable", "keep one of the two"


def _objects(s: Settings) -> Finding | None:
    path = s.source.path
    looks_so = path.partition("://")[0] in SCHEMES and "://" in path
    if s.source.kind == "files":
        return ("is an address of objects", 'set source.kind = "objects"') if looks_so else None
    if s.source.kind != "objects":
        return None
    try:
        address = parse_address(path)
    except SourceError as error:
        return str(error), ""
    if s.source.watch and not address.has_magic:
        return "is one object, and source.watch is true", "watch a prefix or a glob"
    return None


def _kind(s: Settings) -> Finding | None:
    """Report a section of another kind of source."""
    others = [kind for kind in SECTIONS if kind != s.source.kind]
    if unused := [kind for kind in others if getattr(s.source, kind) is not None]:
        return (
            f'is "{s.source.kind}", and there is a section [source.{unused[0]}]',
            f'set source.kind = "{unused[0]}", or remove the section',
        )
    return None


def _source(s: Settings) -> Finding | None:
    path = s.source.path
    if s.source.kind != "files" or not path.strip():
        return None
    if path == STDIN or (any(sign in path for sign in "*?[") and not s.source.watch):
        return None
    here = Path(path)
    if s.source.watch and not here.is_dir():
        return f'must be a folder that exists, not "{path}"', "source.watch = true watches a folder"
    if not here.exists():
        return f'does not exist: "{path}"', "relative paths start where the command runs"
    if here.is_dir() and not s.source.watch:
        return f'is a folder: "{path}"', f'set source.watch = true, or write "{path}/*.csv"'
    return None


def _bundle(s: Settings) -> Finding | None:
    path, hint = s.platform.ca_bundle, "a file of PEM certificates"
    if not path:
        return None
    if not Path(path).is_file():
        return f'is not a file: "{path}"', hint
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        return f'has no certificates that can be read: "{path}" ({reason})', hint
    return None


def _zone_column(s: Settings) -> Finding | None:
    column = s.rules.timezone_column
    if not column or not _has_meaning(s, column):
        return None
    return f'is a known column: "{column}"', "name a column that has only the time zone"


def _opt_out(s: Settings) -> Finding | None:
    names = s.rules.opt_out_columns
    if both := [one for one in names if one in s.rules.consent_columns]:
        return (
            f'has "{both[0]}", which is in rules.consent_columns as well',
            "remove one of the two",
        )
    return _only_answers(s, names)


def _only_answers(s: Settings, names: Sequence[str]) -> Finding | None:
    """Report a column that is named for people's answers, and has something else."""
    if taken := [name for name in names if _has_meaning(s, name)]:
        return f'has a known column: "{taken[0]}"', "name a column that has only a yes or a no"
    return None


def _has_meaning(s: Settings, column: str) -> bool:
    return normal_name(column) in _with_meaning(s)


def _age_column(s: Settings) -> Finding | None:
    column = s.source.age_column
    if not column or not _has_meaning(s, column):
        return None
    return f'is a known column: "{column}"', "name a column that has only a date"


def _alike_columns(s: Settings) -> Finding | None:
    names = [normal_name(name) for name in s.source.alike_columns]
    for name, column in zip(names, s.source.alike_columns, strict=True):
        if name in _with_meaning(s):
            return f'has a known column: "{column}"', "name columns that are attributes"
        if names.count(name) > 1:
            return f'has "{column}" more than once', "name each column once"
        if name == normal_name(s.source.age_column):
            return f'has "{column}", which is source.age_column', "remove it from one of the two"
    return None


def _with_meaning(s: Settings) -> set[str]:
    """Return the columns that have a meaning, in the form in which names are compared."""
    columns, plain = s.source.columns, set(map(normal_name, s.source.attributes))
    own = {name for name in MEANINGS if name not in columns and normal_name(name) not in plain}
    return {*map(normal_name, own), *map(normal_name, columns.values())}


def _attributes(s: Settings) -> Finding | None:
    """Report a column that is said to have a meaning and to have none."""
    if both := [name for name in s.source.attributes if name in s.source.columns.values()]:
        return f'has "{both[0]}", which is in source.columns as well', "remove one of the two"
    is_mapped = "conversation_id" in s.source.columns
    if not is_mapped and "conversationid" in map(normal_name, s.source.attributes):
        return "has conversation_id, which every row needs", "map another column to it"
    return None


def _header(s: Settings) -> Finding | None:
    names = [normal_name(name) for name in s.source.header if name]
    wanted = s.source.columns.get("conversation_id", "conversation_id")
    if not s.source.header:
        return None
    if repeated := [name for name in names if names.count(name) > 1]:
        return f'has "{repeated[0]}" more than once', "rename one of them"
    if normal_name(wanted) not in names:
        return f'has no column "{wanted}"', "name the columns in the order of the file"
    return None


def _suppression(s: Settings) -> Finding | None:
    path, hint = s.rules.suppression_file, "a file with one value per line, or CSV; empty for none"
    if path and not Path(path).is_file():
        return f'is not a file: "{path}"', hint
    if path and not os.access(path, os.R_OK):
        return f'cannot be read: "{path}"', hint
    return None


def _log_file(s: Settings) -> Finding | None:
    return _writable(Path(s.telemetry.log_file)) if s.telemetry.log_file else None


def _trace_library(s: Settings) -> Finding | None:
    if not s.telemetry.trace_share or all(map(is_installed, TRACE_LIBRARIES)):
        return None
    return "needs the library OpenTelemetry", "pip install 'dispatcher[otel]', or set it to 0"


def _network(s: Settings) -> Finding | None:
    if s.ledger.allow_network_filesystem or not s.ledger.path.parent.is_dir():
        return None
    name = network_file_system(s.ledger.path)
    if name is None:
        return None
    hint = "name a local disk, or set ledger.allow_network_filesystem = true; see docs/ledger.md"
    return f"is on a network file system ({name})", hint


def _writable(path: Path) -> Finding | None:
    if path.is_dir():
        return f'is a folder: "{path}"', "name a file; it is created if it does not exist"
    if not path.parent.is_dir():
        return f'is in a folder that does not exist: "{path.parent}"', "create the folder first"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f'cannot be written to: "{path}"', ""
    return None


TOGETHER = (
    Check(("retry.backoff_max_seconds", "retry.backoff_seconds"), _backoff),
    Check(("source.watch", "source.path"), _stdin),
    Check(("source.kind",), _kind),
    Check(("source.kind", "source.sql"), _section),
    Check(("source.path", "source.kind"), _path),
    Check(("source.sql.password_file", "source.sql.password_variable"), _password),
    Check(("source.path", "source.kind", "source.watch"), _objects),
    Check(("rules.timezone_column", "source.columns"), _zone_column),
    Check(("rules.opt_out_columns", "rules.consent_columns", "source.columns"), _opt_out),
    Check(
        ("rules.consent_columns", "source.columns"),
        lambda s: _only_answers(s, s.rules.consent_columns),
    ),
    Check(("source.age_column", "source.columns", "source.attributes"), _age_column),
    Check(
        ("source.alike_columns", "source.columns", "source.attributes", "source.age_column"),
        _alike_columns,
    ),
    Check(("source.attributes", "source.columns"), _attributes),
    Check(("source.header", "source.columns"), _header),
)
"""Settings that depend on each other."""

FILES = (
    Check(("source.path", "source.watch", "source.kind"), _source),
    Check(("platform.ca_bundle",), _bundle),
    Check(("rules.suppression_file",), _suppression),
    Check(("telemetry.log_file",), _log_file),
    Check(("telemetry.trace_share",), _trace_library),
)
"""Files and libraries that a run needs."""

LEDGER = (
    Check(("ledger.path",), lambda s: _writable(s.ledger.path)),
    Check(("ledger.path", "ledger.allow_network_filesystem"), _network),
)
"""What opening the ledger would report, checked before."""


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


def warnings(settings: Settings) -> list[str]:
    """Return what is allowed, but is perhaps a mistake."""
    found = []
    for campaign in settings.campaigns:
        if not campaign.message.text:
            which = f"campaign {campaign.name}: " if len(settings.campaigns) > 1 else ""
            found.append(f"{which}message.text is empty: every row must have a text")
    found += _same_tags("campaigns", [campaign.name for campaign in settings.campaigns])
    found += _same_tags("clients", [client.name for client in settings.clients])
    if settings.engine.sharing == "fair" and any(c.priority for c in settings.campaigns):
        found.append('engine.sharing is "fair": priorities have no effect')
    if settings.telemetry.health_port and not is_loopback(settings.telemetry.health_host):
        found.append(
            "telemetry.health_host is not loopback: anyone who reaches the port can read the status"
        )
    rules = settings.rules
    if rules.timezone_column and not (rules.quiet_hours or rules.holidays):
        found.append("rules.timezone_column has no effect: rules.quiet_hours is empty")
    found += _first_call_warnings(settings)
    states = settings.platform.states_per_call
    if states != "auto" and states > settings.engine.workers:
        found.append(
            "platform.states_per_call is more than engine.workers: no more contacts than workers "
            "can wait together"
        )
    if settings.retry.not_ended_max_minutes * 60 < settings.retry.not_ended_seconds:
        found.append(
            "retry.not_ended_max_minutes is shorter than not_ended_seconds: no second check"
        )
    if settings.retry.engaged_max_minutes * 60 < settings.retry.engaged_seconds:
        found.append("retry.engaged_max_minutes is shorter than engaged_seconds: no second check")
    return [*found, *_platform_warnings(settings)]


def _same_tags(what: str, names: list[str]) -> Iterator[str]:
    for value, group in same_tags(names):
        listed = ", ".join(group)
        yield (
            f"{what} {listed}: Datadog stores each name as {value}, so their metrics are added up; "
            "choose names that differ by more than case and underscores"
        )


def _first_call_warnings(s: Settings) -> Iterator[str]:
    if s.platform.first_call == "check":
        for campaign in s.campaigns:
            which = f"campaign {campaign.name}: " if len(s.campaigns) > 1 else ""
            if campaign.source.alike_columns or campaign.source.age_column:
                yield (
                    f"{which}source.alike_columns and source.age_column have no effect: "
                    'platform.first_call is "check"'
                )
        return
    if s.platform.dialect != "messaging":
        yield (
            'platform.first_call = "learn" has no effect in this dialect: its platform does not '
            "refuse a send that only a state check can rule out"
        )
        return
    for campaign in s.campaigns:
        if campaign.rules.suppression_file:
            which = f"campaign {campaign.name}: " if len(s.campaigns) > 1 else ""
            yield (
                f'{which}platform.first_call = "learn" has no effect with rules.suppression_file: '
                "the list may have an id or an address that only a state check shows"
            )


def _platform_warnings(s: Settings) -> Iterator[str]:
    region = s.platform.region
    if region and region not in REGIONS:
        yield (
            f'platform.region "{region}" is not in the list of regions; it may be newer than the '
            f"list. Its hosts are {api_url(region)} and {login_url(region)}: if that is wrong, "
            "correct it, or set platform.base_url and platform.login_url"
        )
    if s.platform.dialect == "genesys" and s.platform.messenger == "sms":
        texts = (alphabet_warning(campaign.message.text) for campaign in s.campaigns)
        yield from dict.fromkeys(warning for warning in texts if warning)
