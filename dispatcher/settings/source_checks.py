"""Checks of ``source.kind`` with the path and the sections of the kinds."""

from dispatcher.drivers.object_store import SCHEMES
from dispatcher.ports import SourceError
from dispatcher.settings.campaigns import STDIN
from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings
from dispatcher.settings.source_kinds import NEEDED_SECTIONS, SECTIONS, WITH_PATH
from dispatcher.sources.objects.patterns import parse_address


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


SOURCE = (
    Check(("source.watch", "source.path"), _stdin),
    Check(("source.kind",), _kind),
    Check(("source.kind", "source.sql"), _section),
    Check(("source.path", "source.kind"), _path),
    Check(("source.sql.password_file", "source.sql.password_variable"), _password),
    Check(("source.path", "source.kind", "source.watch"), _objects),
)
"""Settings of a source that depend on its kind."""
