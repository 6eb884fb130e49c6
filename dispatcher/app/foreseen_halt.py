"""The part of a plan about a run that would halt, because most contacts would be refused alike."""

from dispatcher.domain.foreseen_halt import ForeseenHalt
from dispatcher.domain.status import HaltReason
from dispatcher.domain.suspects import how_to_accept, suspects
from dispatcher.domain.suspicion import Local


def sentence(halt: ForeseenHalt) -> str:
    """Return in one line that the run would halt, with the share, the cause and what to do."""
    of = "contacts" if _is_rule(halt) else "contacts whose state was read"
    return (
        f"A run would halt: {halt.alike:,} of {halt.answers:,} {of} ({halt.share:.0%}) are refused "
        f"for the same reason ({halt.kind}), {_when(halt)}. The cause may be "
        f"{', or '.join(suspects(halt.kind))}. {_what_to_do(halt)}. None of them would be final; "
        "the figures above do not include the halt."
    )


def as_json(halt: ForeseenHalt) -> dict[str, object]:
    """Return the same as JSON values; ``after_answers`` is null for the end of the source."""
    return {
        "reason": HaltReason.SUSPICIOUS,
        "of": "contacts" if _is_rule(halt) else "states",
        "refused_alike": halt.alike,
        "answers": halt.answers,
        "share": round(halt.share, 4),
        "after_answers": halt.after,
        "cause": halt.kind.key,
        "detail": str(halt.kind),
        "suspicious": list(suspects(halt.kind)),
        "what_to_do": _what_to_do(halt),
    }


def _is_rule(halt: ForeseenHalt) -> bool:
    return halt.kind.step is Local.RULES


def _when(halt: ForeseenHalt) -> str:
    if halt.after is None:
        return "which the end of the source would show"
    return f"which the first {halt.after:,} would show"


def _what_to_do(halt: ForeseenHalt) -> str:
    return f"Correct it and plan again. {how_to_accept(halt.kind)}"
