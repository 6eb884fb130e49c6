"""Compares what a token grants with what the calls need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dispatcher.domain.answer import GrantKind, MissingGrant
from dispatcher.platforms.missing_grants import MESSAGING_PAGES, AdminPages
from dispatcher.ports import TokenGrants


@dataclass(frozen=True, slots=True)
class RoleDivision:
    """A role of the client, and the division in which the client has it; both are ids."""

    role: str
    division: str


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What is reported about a token.

    ``scopes`` are None if they are not reported, or if the client is not limited by scopes;
    ``roles`` are None if they are not reported. ``about`` is a text for people: the owner of the
    client, and anything unusual.
    """

    scopes: tuple[str, ...] | None = None
    roles: tuple[RoleDivision, ...] | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class RequiredGrants:
    """What the calls need: one scope of each group, and every permission.

    The permissions of a token cannot be read. They are only listed as required; a 403 shows that
    one is missing.
    """

    scopes: Sequence[Sequence[str]] = ()
    permissions: Sequence[str] = ()
    pages: AdminPages = field(default_factory=lambda: MESSAGING_PAGES)

    def evaluate(self, number: int, info: TokenInfo) -> TokenGrants:
        """Compare what is reported about a token with what is required."""
        scopes = (f"scope {' or '.join(group)}" for group in self.scopes if group)
        return TokenGrants(
            number,
            info.scopes or (),
            tuple(self._missing(info)),
            (*scopes, *(f"permission {name}" for name in self.permissions)),
            info.about,
            scopes_known=info.scopes is not None,
        )

    def _missing(self, info: TokenInfo) -> Iterator[MissingGrant]:
        for group in self.scopes:
            if group and info.scopes is not None and set(group).isdisjoint(info.scopes):
                yield MissingGrant(GrantKind.SCOPE, " or ".join(group), self.pages[GrantKind.SCOPE])
        if info.roles == () and self.permissions:
            names = f"{' and '.join(self.permissions)} (it has no role)"
            yield MissingGrant(GrantKind.PERMISSION, names, self.pages[GrantKind.PERMISSION])
