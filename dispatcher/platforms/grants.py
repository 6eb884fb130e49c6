"""What a token grants, held against what the calls need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dispatcher.domain.answer import GrantKind, MissingGrant
from dispatcher.platforms.missing_grants import MESSAGING_PAGES, AdminPages
from dispatcher.ports import TokenGrants


@dataclass(frozen=True, slots=True)
class RoleDivision:
    """A role of the client, and the division that it has it in; ids."""

    role: str
    division: str


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What the platform tells about a token beyond the answer that issued it.

    ``scopes`` and ``roles`` are None where it does not tell; no scopes at all mean that it does
    not limit the client by scopes. ``about`` says for people whose client it is, and what
    stands out.
    """

    scopes: tuple[str, ...] | None = None
    roles: tuple[RoleDivision, ...] | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class RequiredGrants:
    """What the calls need: any one name of each group of scopes, and every permission.

    A token does not tell its permissions: they are told as required, and a 403 shows that one
    is missing.
    """

    scopes: Sequence[Sequence[str]] = ()
    permissions: Sequence[str] = ()
    pages: AdminPages = MESSAGING_PAGES

    def names(self) -> tuple[str, ...]:
        """Return what is needed as texts for people."""
        scopes = (f"scope {' or '.join(group)}" for group in self.scopes if group)
        return (*scopes, *(f"permission {name}" for name in self.permissions))

    def evaluate(self, number: int, scopes: Sequence[str] | None) -> TokenGrants:
        """Judge a token by the scopes that it was issued with; None: nobody told them."""
        lacks = tuple(self._missing(scopes, None))
        told = scopes is not None
        return TokenGrants(number, tuple(scopes or ()), lacks, self.names(), scopes_known=told)

    def evaluate_reported(self, number: int, found: TokenInfo | None) -> TokenGrants:
        """Judge a token by what the platform tells about it; by nothing where it does not."""
        if found is None:
            about = "what is granted could not be read just now"
            return TokenGrants(number, (), (), self.names(), about, scopes_known=False)
        scopes = found.scopes or None
        lacks = tuple(self._missing(scopes, found.roles))
        told = scopes is not None
        return TokenGrants(
            number, scopes or (), lacks, self.names(), found.about, scopes_known=told
        )

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
