"""The engine put together with fakes around it."""

import asyncio
from contextlib import asynccontextmanager

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import (
    ClosedConflict,
    Deferred,
    Halted,
    InDoubt,
    Resumed,
    RetryLoop,
    ScopeError,
    Throttled,
)
from dispatcher.domain.progress import NEW, RetryPolicy
from dispatcher.domain.status import Status
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.campaign_run import Campaign
from dispatcher.engine.campaign_wiring import make_campaign_run
from dispatcher.engine.clients.client import ClientConnection
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.intake import ContactLimit
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.run_options import PipelineOptions
from dispatcher.ports import ENDLESS, Batch
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import EventList, ListSource, OpenPacer, ScriptedPlatform
from tests.support.virtual import VirtualClock

PROBE_SECONDS = 15.0
POLICY = RetryPolicy(
    max_attempts=3, loop_after=3, not_ended_seconds=5, not_ended_max_seconds=60,
    backoff_seconds=1,
)  # fmt: skip


def contact(number=1, **more):
    return Contact(f"key-{number}", f"conversation-{number}", f"Hello {number}", **more)


def contacts(count, first=1):
    return [contact(number) for number in range(first, first + count)]


class EngineFixture:
    """All parts of one engine; jitter takes nothing away."""

    def __init__(
        self, answer=None, policy=None, pacer=None, latency=0.05, *, platform=None,
        states_per_call=1, rules=None, events=None, ledger=None, halt_suspicious=False,
        look_share=0.25, accepted=(), likeness=None, admits_at_once=False, tenure=ENDLESS,
    ):  # fmt: skip
        self.clock = VirtualClock()
        self.events = EventList() if events is None else events
        self.ledger = ledger or MemoryLedger()
        self.pacer = pacer or OpenPacer()
        self.platform = platform or ScriptedPlatform(answer, latency)
        self.policy = policy or DecisionPolicy(retry=POLICY)
        self.rules = rules or CampaignRules()
        self.states_per_call = states_per_call
        self.halt_suspicious = halt_suspicious
        self.accepted = accepted
        self.look_share = look_share
        self.jitter = lambda: 1.0
        self.likeness = likeness
        self.admits_at_once = admits_at_once
        self.tenure = tenure
        self.pool = self.make_pool(self.connections())
        self.breaker = self.pool.clients[0].breaker
        self.campaign_run = self.make_campaign_run(ListSource())

    @property
    def delivery(self):
        return self.campaign_run.delivery

    def connections(self):
        return [ClientConnection("", self.platform, self.pacer)]

    def make_pool(self, connections):
        return ClientPool(connections, self.events, self.clock, PROBE_SECONDS)

    def make_campaign_run(self, source, limit=None):
        campaign = Campaign(
            "play", source, self.ledger, self.events, self.policy, self.rules,
            halt_suspicious=self.halt_suspicious, look_share=self.look_share,
            accepted=self.accepted,
            likeness=self.likeness, admits_at_once=self.admits_at_once,
            tenure=self.tenure,
        )  # fmt: skip
        return make_campaign_run(
            campaign,
            self.pool,
            self.clock,
            ContactLimit(limit),
            self.jitter,
            self.states_per_call,
        )

    async def deliver(self, delivered=None, progress=NEW):
        """Deliver one contact as far as it gets in one go; return its row of the ledger."""
        delivered = delivered or contact()
        self.ledger.put(delivered, due=self.clock.time(), progress=progress)
        return await self.again(delivered.key)

    async def again(self, key="key-1"):
        """Wait until the contact is due, and deliver it once more."""
        row = self.ledger.row(key)
        await asyncio.sleep(max(0.0, row.due - self.clock.time()))
        (claim,) = await self.ledger.claim(1, self.clock.time())
        await self.delivery.deliver(claim)
        return row

    async def until_final(self, delivered=None, progress=NEW):
        """Deliver one contact over all its delays."""
        row = await self.deliver(delivered, progress)
        while row.status is Status.READY:
            await self.again(row.contact.key)
        return row

    @asynccontextmanager
    async def reconciling(self):
        """Look for contacts in doubt while the test looks on."""
        task = asyncio.create_task(self.campaign_run.reconciler.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    @asynccontextmanager
    async def working(self, *delivered, probing=True):
        """Deliver contacts side by side while the test looks on."""
        ids = [self.ledger.put(contact, due=self.clock.time()) for contact in delivered]
        claims = await self.ledger.claim(len(ids), self.clock.time())
        tasks = [asyncio.create_task(self.delivery.deliver(claim)) for claim in claims]
        probes = [
            asyncio.create_task(client.breaker.run()) for client in self.pool.clients if probing
        ]
        try:
            yield tasks
        finally:
            for task in (*tasks, *probes):
                task.cancel()
            results = await asyncio.gather(*tasks, *probes, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def pipeline(self, *batches, limit=None, source=None, **options):
        """The whole stream over batches of contacts."""
        batches = [Batch(batch) if isinstance(batch, list) else batch for batch in batches]
        self.source = source or ListSource(*batches)
        self.campaign_run = self.make_campaign_run(self.source, limit)
        options = PipelineOptions(**{"workers": 4, "once": True, **options})
        self.stream = Pipeline([self.campaign_run], self.pool, self.clock, options)
        return self.stream


def event_words(events):
    """The facts that matter for the failure table, each as one word."""
    return [word for event in events if (word := _word(event))]


def _word(event):
    match event:
        case ScopeError(source, step):
            return f"scope:{source}:{step}"
        case ClosedConflict(step, status):
            return f"conflict:{step}:{status}"
        case RetryLoop(step):
            return f"loop:{step}"
        case InDoubt(resolution, step):
            return f"doubt:{step}:{resolution}"
        case Throttled(step):
            return f"throttled:{step or 'all'}"
        case Halted(reason):
            return f"halted:{reason}"
        case Resumed(reason=reason) | Deferred(reason=reason):
            return f"{type(event).__name__.lower()}:{reason}"
    return None
