"""Checks the links of the ledger against the platform's analytics."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.ids import canonical_id
from dispatcher.domain.lineage_check import CLOCK_SKEW_SECONDS, LineageLink, LinkVerdict, judge
from dispatcher.domain.status import Step
from dispatcher.engine.readonly.platform_reader import PlatformReader, PlatformReadError
from dispatcher.ports import Clock, LookBackQuery, Platform
from dispatcher.ports.platform import MAX_LOOK_BACK_IDS


class LinkStore(Protocol):
    """The links of a ledger that are not confirmed."""

    def page(self, after: int, limit: int) -> Sequence[LineageLink]:
        """Return up to ``limit`` of them with ids above ``after``, in the order of their ids."""
        ...

    def mark(self, verdicts: Mapping[int, LinkVerdict], at: float) -> None:
        """Commit the verdicts by link id; ``at`` is seconds since the epoch."""
        ...


SHOWN = 20
"""Failing links that are listed; of all others only the number is shown."""


@dataclass(slots=True)
class LineageCheckProgress:
    """The progress of a check; ``last`` is the id of the last link that was checked.

    ``limit`` is how many links are checked at most; ``failing`` are the first links that were
    not confirmed, as many as are listed.
    """

    last: int = 0
    limit: int | None = None
    counts: Counter[LinkVerdict] = field(default_factory=Counter)
    failing: list[tuple[LineageLink, LinkVerdict]] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many links were checked."""
        return self.counts.total()

    @property
    def next_page(self) -> int:
        """How many links the next look back checks; 0 when the limit is reached."""
        remaining = MAX_LOOK_BACK_IDS if self.limit is None else self.limit - self.checked
        return min(MAX_LOOK_BACK_IDS, remaining)

    def add(self, judged: Sequence[tuple[LineageLink, LinkVerdict]]) -> None:
        """Count the verdicts of one look back."""
        self.counts.update(verdict for _, verdict in judged)
        failing = [pair for pair in judged if pair[1] is not LinkVerdict.CONFIRMED]
        self.failing = [*self.failing, *failing][:SHOWN]
        self.last = judged[-1][0].id


async def verify(
    links: LinkStore, platform: Platform, reader: PlatformReader, clock: Clock,
    check: LineageCheckProgress, show: Callable[[LineageCheckProgress], None],
) -> None:  # fmt: skip
    """Check all links after ``check.last``, up to its limit, and count in ``check``.

    The verdicts of one look back are committed before the next one is made.

    Raises:
        PlatformReadError: the platform refuses look backs, or does not answer.

    """
    while check.next_page and (page := links.page(check.last, check.next_page)):
        judged = await _look_back(page, platform, reader)
        links.mark({link.id: verdict for link, verdict in judged}, clock.time())
        check.add(judged)
        show(check)


async def _look_back(
    page: Sequence[LineageLink], platform: Platform, reader: PlatformReader
) -> list[tuple[LineageLink, LinkVerdict]]:
    since: dict[str, float] = {}
    for link in page:
        at = (link.sent_at or 0.0) - CLOCK_SKEW_SECONDS
        since[link.queried_conversation] = min(at, since.get(link.queried_conversation, at))
    queries = [LookBackQuery(conversation, at) for conversation, at in since.items()]
    answer = await reader.read(Step.LOOK_BACK, lambda: platform.look_back(queries))
    if answer is None or answer.past_conversations is None:
        status = "nothing" if answer is None else f"{answer.status} {answer.words[:200]}".strip()
        correlation = f" ({answer.correlation_id})" if answer and answer.correlation_id else ""
        raise PlatformReadError(
            f"the platform answers {status} to a look-back request{correlation}; the results until "
            "then are in the ledger: try again later"
        )
    shown = {
        canonical_id(conversation.id): conversation for conversation in answer.past_conversations
    }
    return [(link, judge(link, shown)) for link in page]
