"""Checks of the settings that name columns: each column has one meaning at most."""

from collections.abc import Sequence

from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings
from dispatcher.sources.options import MEANINGS, normal_name


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


COLUMNS = (
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
"""Settings about columns that depend on each other."""
