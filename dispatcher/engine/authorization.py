"""What is missing, as a reason to halt and as words for people."""

from collections.abc import Sequence

from dispatcher.domain.answer import Answer, GrantKind, MissingGrant
from dispatcher.domain.status import HaltReason, ScopeSource, Step
from dispatcher.ports import TokenGrants

_BLAMED = {
    GrantKind.SCOPE: (ScopeSource.FORBIDDEN, HaltReason.SCOPE),
    GrantKind.PERMISSION: (ScopeSource.PERMISSION, HaltReason.PERMISSION),
    GrantKind.DIVISION: (ScopeSource.DIVISION, HaltReason.DIVISION),
}


def describe_missing(lacks: Sequence[MissingGrant]) -> str:
    """Tell what is missing and where it is granted, each place once."""
    by_place: dict[str, list[str]] = {}
    for each in lacks:
        named = f"{each.kind} {each.name}" if each.name else f"a {each.kind} that is not named"
        by_place.setdefault(each.where, []).append(named)
    return "; ".join(
        " and ".join(names) + (f" (granted in: {where})" if where else "")
        for where, names in by_place.items()
    )


def halt_reason(authority: TokenGrants, known: HaltReason | None = None) -> tuple[HaltReason, str]:
    """Return why a run halts whose token lacks something, and the words.

    ``known`` is what a refusal's body or an earlier halt gave as the reason. A client without a
    role lacks permissions and divisions alike: then that is kept.
    """
    words = f"the token lacks {describe_missing(authority.missing_grants)}"
    if any(each.kind is GrantKind.SCOPE for each in authority.missing_grants):
        return HaltReason.SCOPE, words
    return HaltReason.DIVISION if known is HaltReason.DIVISION else HaltReason.PERMISSION, words


def cause_of_403(answer: Answer, authority: TokenGrants | None) -> tuple[ScopeSource, HaltReason]:
    """Tell what a 403 comes from: the token's lack if there is one, else what its body says.

    A token that lacks a scope explains the refusal, whatever the body says of it.
    """
    if authority is not None and any(
        each.kind is GrantKind.SCOPE for each in authority.missing_grants
    ):
        return _BLAMED[GrantKind.SCOPE]
    if answer.missing_kind is None:
        return ScopeSource.FORBIDDEN, HaltReason.FORBIDDEN
    return _BLAMED[answer.missing_kind]


def describe_403(step: Step, answer: Answer) -> str:
    """Return the words of a halt for a 403 that the token does not explain."""
    if answer.missing_grants:
        return f"403 on {step}: missing is {describe_missing(answer.missing_grants)}"
    return f"403 on {step} although no scope is missing"


def missing(answer: Answer, authority: TokenGrants | None) -> tuple[str, ...]:
    """Return the names of what is missing, by the token or else by the body."""
    if authority is not None and authority.missing_grants:
        return authority.missing_names
    return tuple(each.name for each in answer.missing_grants if each.name)
