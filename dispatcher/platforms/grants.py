"""Compares what a token grants with what the calls need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """What the platform reports about a token after it was issued.

    ``scopes`` and ``roles`` are None if they are not reported. Empty ``scopes`` mean that the
    client is not limited by scopes. ``about`` is a text for people: the owner of the client, and
    anything unusual.
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
    pages: AdminPages = MESSAGING_PAGES

    def names(self) -> tuple[str, ...]:
        """Return the required grants as texts for people."""
        scopes = (f"scope {' or '.join(group)}" for group in self.scopes if group)
        return (*scopes, *(f"permission {name}" for name in self.permissions))

    def evaluate(
        self,
        number: int,
        scopes: Sequence[str] | None,
        roles: Sequence[RoleDivision] | None = None,
        about: str = "",
    ) -> TokenGrants:
        """Compare a token's scopes and roles with what is required; None: not known."""
        missing = tuple(self._missing(scopes, roles))
        known = scopes is not None
        return TokenGrants(
            number, tuple(scopes or ()), missing, self.names(), about, scopes_known=known
        )

    def evaluate_reported(self, number: int, info: TokenInfo | None) -> TokenGrants:
        """Compare what the platform reports about a token; None: it reports nothing."""
        if info is None:
            return self.evaluate(number, None, about="what is granted could not be read just now")
        return self.evaluate(number, info.scopes or None, info.roles, info.about)

    def _missing(
        self, scopes: Sequence[str] | None, roles: Sequence[RoleDivision] | None
    ) -> Iterator[MissingGrant]:
        for group in self.scopes:
            if group and scopes is not None and set(group).isdisjoint(scopes):
                yield MissingGrant(GrantKind.SCOPE, " or ".join(group), self.pages.scope)
        if roles is not None and not roles and self.permissions:
            names = " and ".join(self.permissions)
            yield MissingGrant(
                GrantKind.PERMISSION, f"{names} (it has no role)", self.pages.permission
            )
