"""Renders a template with the columns of a row."""

from collections.abc import Collection, Mapping

from dispatcher.sources.rows.row_errors import InvalidRowError
from dispatcher.sources.rows.template import Template


def rendered(
    template: Template | None, row: Mapping[str, str], nulls: Collection[str]
) -> str | None:
    """Return the text of a row; None without a template. ``nulls`` had null markers.

    Raises:
        InvalidRowError: the row has no value in a column that the template needs.

    """
    if template is None:
        return None
    try:
        return template.render(row)
    except KeyError as error:
        name = error.args[0]
        if name in nulls:
            raise InvalidRowError(
                "null_marker",
                f"the template needs column {name!r}, which has a null marker",
            ) from None
        raise InvalidRowError(
            "missing_placeholder", f"the template needs column {name!r}"
        ) from None
