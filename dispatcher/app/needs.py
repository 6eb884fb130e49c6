"""Which scopes and permissions a token is held against, by dialect."""

from dataclasses import replace

from dispatcher.platforms.genesys import permissions
from dispatcher.platforms.missing_grants import GENESYS_PAGES
from dispatcher.platforms.token import TokenOptions


def with_needs(
    options: TokenOptions, dialect: str, *, scopes_chosen: bool, tags: bool = False
) -> TokenOptions:
    """Return options with what the dialect's calls need, and where that is granted.

    The write scopes are the dialect's own unless the settings name other than the usual ones
    (``scopes_chosen``); ``tags`` tells whether external tags are written.
    """
    if dialect != "genesys":
        return options
    return replace(
        options,
        write_any_of=options.write_any_of if scopes_chosen else permissions.SCOPES,
        permissions=permissions.permissions(tags=tags),
        pages=GENESYS_PAGES,
    )
