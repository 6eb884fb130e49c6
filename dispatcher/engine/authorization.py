"""What is missing, as a reason to halt and as words for people."""

from collections.abc import Sequence

from dispatcher.domain.answer import Answer, Lack, Lacking
from dispatcher.domain.status import HaltReason, ScopeSource, Step
from dispatcher.ports import Authority

_BLAMED = {
    Lack.SCOPE: (ScopeSource.FORBIDDEN, HaltReason.SCOPE),
    Lack.PERMISSION: (ScopeSource.PERMISSION, HaltReason.PERMISSION),
    Lack.DIVISION: (ScopeSource.DIVISION, HaltReason.DIVISION),
}


def told(lacks: Sequence[Lacking]) -> str:
    """Tell what is missing and where it is granted, each place once."""
    by_place: dict[str, list[str]] = {}
    for each in lacks:
        named = f"{each.kind} {each.name}" if each.name else f"a {each.kind} that is not named"
        by_place.setdefault(each.where, []).append(named)
    return "; ".join(
        " and ".join(names) + (f" (granted in: {where})" if where else "")
        for where, names in by_place.items()
    )


def halt_for(authority: Authority, known: HaltReason | None = None) -> tuple[HaltReason, str]:
    """Return why a run halts whose token lacks something, and the words.

    ``known`` is what a refusal's body or an earlier halt gave as the reason. A client without a
    role lacks permissions and divisions alike: then that is kept.
    """
    words = f"the token lacks {told(authority.lacks)}"
    if any(each.kind is Lack.SCOPE for each in authority.lacks):
        return HaltReason.SCOPE, words
    return HaltReason.DIVISION if known is HaltReason.DIVISION else HaltReason.PERMISSION, words


def blamed(answer: Answer, authority: Authority | None) -> tuple[ScopeSource, HaltReason]:
    """Tell what a 403 comes from: the token's lack if there is one, else what its body says.

    A token that lacks a scope explains the refusal, whatever the body says of it.
    """
    if authority is not None and any(each.kind is Lack.SCOPE for each in authority.lacks):
        return _BLAMED[Lack.SCOPE]
    if answer.lack is None:
        return ScopeSource.FORBIDDEN, HaltReason.FORBIDDEN
    return _BLAMED[answer.lack]


def refusal(step: Step, answer: Answer) -> str:
    """Return the words of a halt for a 403 that the token does not explain."""
    if answer.lacking:
        return f"403 on {step}: missing is {told(answer.lacking)}"
    return f"403 on {step} although no scope is missing"


def missing(answer: Answer, authority: Authority | None) -> tuple[str, ...]:
    """Return the names of what is missing, by the token or else by the body."""
    if authority is not None and authority.lacks:
        return authority.missing
    return tuple(each.name for each in answer.lacking if each.name)
