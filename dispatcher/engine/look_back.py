"""Look backs: what the platform's analytics show of contacts in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.evidence import NEVER_SHOWN, DeliveryWitness, newest_record, newest_shown
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.look_back_plan import LookBackPlan
from dispatcher.domain.next_step import SUCCESS
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.progress import NEW
from dispatcher.domain.reconcile_policy import EvidenceKind
from dispatcher.domain.status import Step
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.platform_time import PlatformTime
from dispatcher.engine.record_candidates import RecordCandidates
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.ports import (
    MAX_LOOK_BACK_IDS,
    InDoubtContact,
    Ledger,
    LookBackQuery,
    WatermarkQuery,
)

WITNESSES = 3
"""Messages that show how far analytics have caught up, for each of two moments."""
RESERVED = 2 * WITNESSES + 10
"""Queries that are kept for records which show how far analytics have caught up."""
MIN_QUERIES = 10
"""The fewest queries of a look back, after an answer that was too large."""

_IDS = count(-1, -1)
"""Ids for breakers and permits; those of the ledger's contacts are above zero."""


@dataclass(frozen=True, slots=True)
class LookBack:
    """What one look back showed of ``contacts``; ``at`` is when it was made (platform's clock)."""

    at: float
    shown: Sequence[PastConversation]
    contacts: Sequence[InDoubtContact]


class LookBackReader:
    """Makes the look backs of one campaign.

    Beside the contacts in doubt it asks for what shows how far analytics have caught up: messages
    of ours that the platform is known to have taken, other records, or the platform's statement.
    """

    def __init__(
        self, requester: Requester, refusals: RefusalHandler, ledger: Ledger,
        platform_time: PlatformTime, plan: LookBackPlan, candidates: RecordCandidates,
    ) -> None:  # fmt: skip
        self._requester = requester
        self._refusals = refusals
        self._ledger = ledger
        self._platform_time = platform_time
        self._plan = plan
        self._policy = plan.policy
        self._candidates = candidates
        self._lacks_newest = False
        self._id = next(_IDS)
        self.analytics_watermark = NEVER_SHOWN
        """The platform's time up to which its analytics have caught up, as far as is known."""
        self.batch_size = MAX_LOOK_BACK_IDS
        """Queries of the next look back at most, so contacts that it serves."""

    async def read(self, contacts: Sequence[InDoubtContact]) -> LookBack | None:
        """Look back for the first of these contacts; None if nothing can be concluded now."""
        bounds = self._open_bounds(contacts)
        if bounds:
            contacts = contacts[: self.batch_size - min(RESERVED, self.batch_size // 2)]
        witnesses = await self._witnesses(bounds)
        queries = self._queries(contacts, witnesses)
        if not queries:
            return LookBack(self._platform_time.now(), (), contacts)
        queries += await self._records(queries)
        watermark = self._watermark_query(bounds)
        answered = await self._request(queries, watermark)
        if answered is None:
            return None
        self.batch_size = min(MAX_LOOK_BACK_IDS, self.batch_size * 2)
        made_at, answer = answered
        shown = answer.past_conversations or ()
        if watermark is not None and watermark.records:
            self._lacks_newest = answer.newest_record is None
        self._learn(made_at, answer, newest_shown(shown, witnesses))
        return LookBack(made_at, shown, contacts)

    def _open_bounds(self, contacts: Sequence[InDoubtContact]) -> list[float]:
        """Return the bounds that are over and are not proved to be shown.

        A contact's bound is the time by which analytics must show its send.
        """
        now = self._platform_time.now()
        return [
            bound
            for contact in contacts
            if contact.send.conversation_id is not None
            and (bound := self._policy.visible_by(contact.send)) < now
            and bound >= self.analytics_watermark
        ]

    async def _witnesses(self, bounds: Sequence[float]) -> list[DeliveryWitness]:
        """Choose messages that were taken after the first bound, and after the last one."""
        found: dict[DeliveryWitness, None] = {}
        newest = self._policy.finds_newest and self._uses(EvidenceKind.RECORDS)
        # the newest record is not older than our own messages; the platform may refuse to show it
        if not self._uses(EvidenceKind.OWN) or (newest and not self._lacks_newest):
            return []
        for after in {min(bounds), max(bounds)} if bounds else ():
            found.update(dict.fromkeys(await self._ledger.witnesses(after, WITNESSES)))
        return list(found)

    async def _records(self, queries: Sequence[LookBackQuery]) -> list[LookBackQuery]:
        """Fill the look back with conversations that may have new records."""
        if self._policy.finds_newest or not self._uses(EvidenceKind.RECORDS):
            return []
        room, since = self.batch_size - len(queries), min(query.since for query in queries)
        named = {query.conversation_id for query in queries if not query.continued}
        previous = [query.conversation_id for query in queries if query.continued]
        chosen = await self._candidates.choose(room, named, previous)
        return [LookBackQuery(id_, since) for id_ in chosen]

    def _watermark_query(self, bounds: Sequence[float]) -> WatermarkQuery | None:
        """Ask for the newest record where that is needed, or where the lag is not known yet."""
        if not self._policy.finds_newest:
            return None
        records = self._uses(EvidenceKind.RECORDS) and (bool(bounds) or self._plan.lag is None)
        availability = self._uses(EvidenceKind.AVAILABILITY) and bool(bounds)
        if not (records or availability):
            return None
        now = self._platform_time.now()
        after = min(bounds, default=now - self._policy.visible_within)
        return WatermarkQuery(after, records, availability)

    def _uses(self, kind: EvidenceKind) -> bool:
        return kind in self._policy.evidence

    def _learn(self, made_at: float, answer: Answer, witnessed: float) -> None:
        """Note how far analytics have caught up; a time in the future proves nothing."""
        until, shown = made_at + self._policy.clock_skew, answer.past_conversations or ()
        times = [witnessed]
        if self._uses(EvidenceKind.RECORDS) and self._policy.finds_newest:
            times.append(_or_never(answer.newest_record))
        elif self._uses(EvidenceKind.RECORDS):
            times.append(newest_record(shown, until))
            self._candidates.learn(shown, until)
        self._plan.observe(made_at, max(times))
        if self._uses(EvidenceKind.AVAILABILITY):
            times.append(_or_never(answer.complete_until))
        times.append(self.analytics_watermark)
        self.analytics_watermark = max(at for at in times if at <= until)

    def _queries(
        self, contacts: Sequence[InDoubtContact], witnesses: Sequence[DeliveryWitness]
    ) -> list[LookBackQuery]:
        queries = [
            LookBackQuery(
                send.conversation_id,
                send.at - self._policy.clock_skew,
                continued=send.step is Step.OPEN,
                external_contact_id=send.external_contact_id,
            )
            for send in (contact.send for contact in contacts)
            if send.conversation_id is not None
        ]
        since = min((query.since for query in queries), default=0.0)
        queries += [LookBackQuery(witness.conversation_id, since) for witness in witnesses]
        return queries

    async def _request(
        self, queries: Sequence[LookBackQuery], watermark: WatermarkQuery | None
    ) -> tuple[float, Answer] | None:
        """Return when the look back was made, by the platform's clock, and its answer."""
        # one request for many contacts: no event or log line may name one of them
        in_flight = InFlight(self._id, Contact("", "", ""), NEW, 0.0)
        try:
            reply = await self._requester.look_back(in_flight, queries, watermark)
            if reply is None or not isinstance(reply.result, Answer):
                return None
            result, kind = reply.result, classify(Step.LOOK_BACK, reply.result)
            if kind is AnswerKind.ACCEPTED and result.past_conversations is not None:
                breaker = in_flight.client.breaker
                breaker.record_success(in_flight.id, Step.LOOK_BACK, in_flight.sent_at)
                made_at = self._platform_time.now() - reply.seconds
                return made_at, result
            # a success that was not accepted: the answer was too large to be read
            if result.from_platform and result.status // 100 == SUCCESS:
                self.batch_size = max(MIN_QUERIES, len(queries) // 2)
            await self._refusals.handle(in_flight, Step.LOOK_BACK, kind, reply)
            return None
        finally:
            self._requester.release_probe(in_flight)


def _or_never(at: float | None) -> float:
    return NEVER_SHOWN if at is None else at
