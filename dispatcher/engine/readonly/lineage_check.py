"""Asking the platform's analytics whether each link took."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.lineage_check import CLOCK_SKEW_SECONDS, LineageLink, LinkVerdict, judge
from dispatcher.domain.status import Step
from dispatcher.engine.readonly.platform_reader import PlatformReader, PlatformReadError
from dispatcher.ports import Clock, LookBackQuery, Platform
from dispatcher.ports.platform import MAX_LOOK_BACK_IDS


class LinkStore(Protocol):
    """The links of a ledger that are not confirmed yet."""

    def page(self, after: int, limit: int) -> Sequence[LineageLink]:
        """Return up to ``limit`` of them with ids above ``after``, in the order of their ids."""
        ...

    def mark(self, found: Mapping[int, LinkVerdict], at: float) -> None:
        """Write down, durably, what was found; ``at`` is seconds since the epoch."""
        ...


SHOWN = 20
"""Links that did not take and are named; of the others the number is told."""


@dataclass(slots=True)
class LineageCheck:
    """What came of it so far; ``last`` is the id of the last link that was asked about.

    ``limit`` is how many are asked about at most; ``failing`` are links that did not take, as
    many of them as are shown.
    """

    last: int = 0
    limit: int | None = None
    counts: Counter[LinkVerdict] = field(default_factory=Counter)
    failing: list[tuple[LineageLink, LinkVerdict]] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """How many links were asked about."""
        return self.counts.total()

    @property
    def next_page(self) -> int:
        """How many links the next look back asks about; 0 when the limit is reached."""
        return (
            MAX_LOOK_BACK_IDS
            if self.limit is None
            else min(MAX_LOOK_BACK_IDS, self.limit - self.asked)
        )

    def take(self, found: Sequence[tuple[LineageLink, LinkVerdict]]) -> None:
        """Count what one look back said."""
        self.counts.update(verified for _, verified in found)
        failing = (each for each in found if each[1] is not LinkVerdict.CONFIRMED)
        self.failing = [*self.failing, *failing][:SHOWN]
        self.last = found[-1][0].id


async def verify(
    links: LinkStore, platform: Platform, asking: PlatformReader, clock: Clock, done: LineageCheck,
    show: Callable[[LineageCheck], None],
) -> None:  # fmt: skip
    """Ask about all links after ``done.last``, up to its limit, and write into ``done``.

    What one look back said is marked before the next one is made.

    Raises:
        AskingError: the platform does not let look backs in, or does not answer.

    """
    while done.next_page and (page := links.page(done.last, done.next_page)):
        found = await _ask(page, platform, asking)
        links.mark({link.id: verified for link, verified in found}, clock.time())
        done.take(found)
        show(done)


async def _ask(
    page: Sequence[LineageLink], platform: Platform, asking: PlatformReader
) -> list[tuple[LineageLink, LinkVerdict]]:
    since: dict[str, float] = {}
    for link in page:
        at = (link.sent_at or 0.0) - CLOCK_SKEW_SECONDS
        since[link.look_back_query] = min(at, since.get(link.look_back_query, at))
    asked = [LookBackQuery(conversation, at) for conversation, at in since.items()]
    answer = await asking.read(Step.LOOK_BACK, lambda: platform.look_back(asked))
    if answer is None or answer.past_conversations is None:
        status = "nothing" if answer is None else f"{answer.status} {answer.words[:200]}".strip()
        correlation = f" ({answer.correlation_id})" if answer and answer.correlation_id else ""
        raise PlatformReadError(
            f"the platform answers {status} to a look back{correlation}; what was asked before "
            "is marked: try again later from there"
        )
    shown = {each.id: each for each in answer.past_conversations}
    return [(link, judge(link, shown)) for link in page]
