"""Formats values as TOML."""

from collections.abc import Mapping

_PLAIN = 10**6


def as_toml(value: object) -> str:
    """Return a value as TOML writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:g}" if abs(value) < _PLAIN and value == int(value) else str(value)
        case tuple() | list():
            return f"[{', '.join(as_toml(item) for item in value)}]"
        case Mapping():
            inner = ", ".join(f"{_key(k)} = {as_toml(v)}" for k, v in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case _:
            return _quoted(str(value))


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else _quoted(name)


def _quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    inner = "".join(escapes.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return f'"{inner}"'
