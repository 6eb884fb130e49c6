"""Elements of HTML and SVG. Every text is escaped; only what this module made is not."""

from html import escape

Html = str
"""The type of a child: text, which is escaped, or markup, which `element` returned."""


class Markup(str):
    """Markup that is written as it is. Only `element` and `join` make it."""

    __slots__ = ()


_VOID = frozenset({"br", "hr", "input", "link", "meta"})


def element(
    name: str, /, *children: Html | None, **attributes: str | float | bool | None
) -> Markup:
    """Return an element; children that are None are left out.

    An underscore in the name of an attribute means a hyphen, one at its end means nothing:
    ``class_``, ``aria_label``. An attribute that is True has no value; None and False leave it out.
    """
    written = "".join(_attribute(*item) for item in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Html | None) -> Markup:
    """Return children one after the other."""
    return Markup("".join(_written(child) for child in children if child is not None))


def _written(child: Html) -> str:
    return child if isinstance(child, Markup) else escape(child, quote=True)


def _attribute(name: str, value: str | float | bool | None) -> str:  # noqa: FBT001 - as HTML has them
    if value is None or value is False:
        return ""
    plain = name.rstrip("_").replace("_", "-")
    return f" {plain}" if value is True else f' {plain}="{escape(str(value), quote=True)}"'
