"""The ledger's SQL: read from its own files, found by name."""

from importlib.resources import files

_MARK = "-- name: "
MANY = "many"


def script(name: str) -> str:
    """Return the whole text of one SQL file of this package."""
    return files(__package__).joinpath("sql", name).read_text("utf-8")


def by_name(text: str) -> dict[str, str]:
    """Return the statements of a file's text, each by its name."""
    found = {}
    for part in text.split(_MARK)[1:]:
        name, _, statement = part.partition("\n")
        found[name.strip()] = statement.strip()
    return found


SQL = by_name(script("queries.sql"))
"""Every named statement."""


def many(name: str, count: int, width: int = 0) -> str:
    """Return statement ``name`` for a list of ``count`` values, or of rows of ``width``."""
    item = "(" + ",".join("?" * width) + ")" if width else "?"
    return SQL[name].replace(MANY, ",".join([item] * count))
