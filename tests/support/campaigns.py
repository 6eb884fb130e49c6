"""Several campaigns in one stream, with fakes around them."""

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import Halted, Resumed
from dispatcher.domain.status import Status, Step
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.completion import Completer
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.intake import ContactLimit, Intake
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.reconciler import Reconciler
from dispatcher.engine.run_options import PipelineOptions
from dispatcher.engine.scheduling import Weight
from dispatcher.ports import Batch
from tests.support.engine import POLICY, PROBE_SECONDS, Bench
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import EventList, ListSource


def people(campaign, count, **more):
    return [Contact(f"{campaign}-{n}", f"{campaign}-{n}", "Hello", **more) for n in range(count)]


class Run:
    """Campaigns over one platform, each with a ledger, a source and events of its own."""

    def __init__(self, limit=None, bench=None):
        self.bench = bench or Bench()
        self.allowance = ContactLimit(limit)
        self.ledgers, self.events, self.sources = {}, {}, {}
        self.lanes = []

    def add(self, campaign, *batches, seconds=0.0, share=1.0, priority=0, ledger=None):
        bench = self.bench
        ledger = ledger or MemoryLedger(first_id=1 + 100_000 * len(self.lanes))
        self.ledgers[campaign] = ledger
        events = self.events[campaign] = EventList()
        source = ListSource(
            *(Batch(each) if isinstance(each, list) else each for each in batches), seconds=seconds
        )
        self.sources[campaign] = source
        desk = Completer(ledger, events, bench.clock)
        delivery = Delivery(
            bench.turnstile, desk, DecisionPolicy(retry=POLICY), lambda: 1.0, PROBE_SECONDS
        )
        intake = Intake(source, desk, self.allowance)
        doubts = Reconciler(bench.turnstile, desk, DecisionPolicy(retry=POLICY), PROBE_SECONDS)
        weight = Weight(share, priority)
        self.lanes.append(CampaignRun(campaign, intake, delivery, doubts, desk, weight))
        return self

    def again(self):
        """The next run over the same ledgers and platform; the sources begin anew."""
        self.bench.turnstile = ClientPool(self.bench.turnstile.clients)
        run = Run(bench=self.bench)
        for name, source in self.sources.items():
            run.add(name, *source.given, ledger=self.ledgers[name])
        return run

    def pipeline(self, **plan):
        self.stream = Pipeline(
            self.lanes,
            self.bench.turnstile,
            PipelineOptions(**{"workers": 4, "once": True, **plan}),
        )
        return self.stream

    def checked(self):
        """Whose contacts were begun, in their order."""
        requests = self.bench.platform.requests
        return [r.conversation_id.split("-")[0] for r in requests if r.step is Step.CHECK]

    def opened(self, campaign):
        return self.ledgers[campaign].count(Status.OPENED)

    def told(self, campaign):
        return [
            (type(event).__name__, event.reason)
            for event in self.events[campaign].of(Halted, Resumed)
        ]
