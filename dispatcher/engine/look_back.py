"""Look backs: what the platform's analytics show of contacts in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.evidence import NEVER_SHOWN, DeliveryWitness, newest_shown
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.next_step import SUCCESS
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.progress import NEW
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.status import Step
from dispatcher.engine.in_flight import InFlight
from dispatcher.engine.platform_time import PlatformTime
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.ports import MAX_LOOK_BACK_IDS, InDoubtContact, Ledger, LookBackQuery

WITNESSES = 3
"""Messages that show how far analytics have caught up, for each of two moments."""
MAX_BATCH = MAX_LOOK_BACK_IDS - 2 * WITNESSES
"""Contacts that one look back serves."""
MIN_BATCH = 10
"""The smallest batch, after an answer that was too large."""

_IDS = count(-1, -1)
"""Ids for breakers and permits; those of the ledger's contacts are above zero."""


@dataclass(frozen=True, slots=True)
class LookBack:
    """What one look back showed; ``at`` is when it was made, by the platform's clock."""

    at: float
    shown: Sequence[PastConversation]


class LookBackReader:
    """Makes the look backs of one campaign.

    With the contacts in doubt it asks for some witnesses: messages that the platform is known
    to have taken, which show how far analytics have caught up.
    """

    def __init__(
        self, requester: Requester, refusals: RefusalHandler, ledger: Ledger,
        platform_time: PlatformTime, policy: ReconcilePolicy,
    ) -> None:  # fmt: skip
        self._requester = requester
        self._refusals = refusals
        self._ledger = ledger
        self._platform_time = platform_time
        self._policy = policy
        self._id = next(_IDS)
        self.analytics_watermark = NEVER_SHOWN
        """The time of the newest message that analytics have shown (platform's clock)."""
        self.batch_size = MAX_BATCH
        """Contacts that the next look back serves at most."""

    async def read(self, contacts: Sequence[InDoubtContact]) -> LookBack | None:
        """Look back for some contacts in doubt; None if nothing can be concluded now."""
        witnesses = await self._witnesses(contacts)
        queries = self._queries(contacts, witnesses)
        if queries:
            look_back = await self._request(queries, len(contacts))
        else:
            look_back = LookBack(self._platform_time.now(), ())
        if look_back is not None:
            self.batch_size = min(MAX_BATCH, self.batch_size * 2)
            self.analytics_watermark = max(
                self.analytics_watermark, newest_shown(look_back.shown, witnesses)
            )
        return look_back

    async def _witnesses(self, contacts: Sequence[InDoubtContact]) -> list[DeliveryWitness]:
        """Choose messages that were taken after the first bound, and after the last one.

        A contact's bound is the time by which analytics must show its send.
        """
        now = self._platform_time.now()
        bounds = [
            bound
            for contact in contacts
            if contact.send.conversation_id is not None
            and (bound := self._policy.visible_by(contact.send)) < now
            and bound >= self.analytics_watermark
        ]
        found: dict[DeliveryWitness, None] = {}
        for after in {min(bounds), max(bounds)} if bounds else ():
            found.update(dict.fromkeys(await self._ledger.witnesses(after, WITNESSES)))
        return list(found)

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
        self, queries: Sequence[LookBackQuery], contact_count: int
    ) -> LookBack | None:
        # one request for many contacts: no event or log line may name one of them
        in_flight = InFlight(self._id, Contact("", "", ""), NEW, 0.0)
        try:
            reply = await self._requester.look_back(in_flight, queries)
            if reply is None or not isinstance(reply.result, Answer):
                return None
            result, kind = reply.result, classify(Step.LOOK_BACK, reply.result)
            if kind is AnswerKind.ACCEPTED and result.past_conversations is not None:
                breaker = in_flight.client.breaker
                breaker.record_success(in_flight.id, Step.LOOK_BACK, in_flight.sent_at)
                made_at = self._platform_time.now() - reply.seconds
                return LookBack(made_at, result.past_conversations)
            # a success that was not accepted: the answer was too large to be read
            if result.from_platform and result.status // 100 == SUCCESS:
                self.batch_size = max(MIN_BATCH, contact_count // 2)
            await self._refusals.handle(in_flight, Step.LOOK_BACK, kind, reply)
            return None
        finally:
            self._requester.release_probe(in_flight)
