"""What a token lacks, as a reason to halt and as words for people."""

from collections.abc import Sequence

from dispatcher.domain.answer import Answer, GrantKind, MissingGrant
from dispatcher.domain.status import HaltReason, ScopeSource, Step
from dispatcher.ports import TokenGrants

_CAUSES = {
    GrantKind.SCOPE: (ScopeSource.FORBIDDEN, HaltReason.SCOPE),
    GrantKind.PERMISSION: (ScopeSource.PERMISSION, HaltReason.PERMISSION),
    GrantKind.DIVISION: (ScopeSource.DIVISION, HaltReason.DIVISION),
}


def describe_missing(grants: Sequence[MissingGrant]) -> str:
    """Return what is missing and where it is granted, each place once."""
    by_place: dict[str, list[str]] = {}
    for grant in grants:
        named = f"{grant.kind} {grant.name}" if grant.name else f"a {grant.kind} that is not named"
        by_place.setdefault(grant.where, []).append(named)
    return "; ".join(
        " and ".join(names) + (f" (granted in: {where})" if where else "")
        for where, names in by_place.items()
    )


def halt_reason(grants: TokenGrants, known: HaltReason | None = None) -> tuple[HaltReason, str]:
    """Return the halt reason and its message for a token that lacks a grant.

    ``known`` is the reason that a refusal's body or an earlier halt gave. A client without a
    role lacks permissions and divisions alike: a known division stays the reason.
    """
    words = f"the token lacks {describe_missing(grants.missing_grants)}"
    if _lacks_scope(grants):
        return HaltReason.SCOPE, words
    return HaltReason.DIVISION if known is HaltReason.DIVISION else HaltReason.PERMISSION, words


def cause_of_403(answer: Answer, grants: TokenGrants | None) -> tuple[ScopeSource, HaltReason]:
    """Return the cause of a 403: the scope that the token lacks, else what the body says.

    A token that lacks a scope explains the refusal, whatever its body says.
    """
    if grants is not None and _lacks_scope(grants):
        return _CAUSES[GrantKind.SCOPE]
    if answer.missing_kind is None:
        return ScopeSource.FORBIDDEN, HaltReason.FORBIDDEN
    return _CAUSES[answer.missing_kind]


def describe_403(step: Step, answer: Answer) -> str:
    """Return the words of a halt for a 403 that the token does not explain."""
    if answer.missing_grants:
        return f"403 on {step}: missing: {describe_missing(answer.missing_grants)}"
    return f"403 on {step} although no scope is missing"


def missing(answer: Answer, grants: TokenGrants | None) -> tuple[str, ...]:
    """Return the names of what is missing, by the token or else by the body."""
    if grants is not None and grants.missing_grants:
        return grants.missing_names
    return tuple(grant.name for grant in answer.missing_grants if grant.name)


def _lacks_scope(grants: TokenGrants) -> bool:
    return any(grant.kind is GrantKind.SCOPE for grant in grants.missing_grants)
