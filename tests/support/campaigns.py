"""Several campaigns in one stream, with fakes around them."""

from dispatcher.domain.contact import Contact
from dispatcher.domain.events import Halted, Resumed
from dispatcher.domain.status import Status, Step
from dispatcher.engine.campaign_run import Campaign
from dispatcher.engine.campaign_wiring import make_campaign_run
from dispatcher.engine.intake import ContactLimit
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.run_options import PipelineOptions
from dispatcher.engine.scheduling import Weight
from dispatcher.ports import Batch
from tests.support.engine import EngineFixture
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import EventList, ListSource


def people(campaign, count, **more):
    return [Contact(f"{campaign}-{n}", f"{campaign}-{n}", "Hello", **more) for n in range(count)]


class CampaignsFixture:
    """Campaigns over one platform, each with a ledger, a source and events of its own."""

    def __init__(self, limit=None, engine=None):
        self.engine = engine or EngineFixture()
        self.limit = ContactLimit(limit)
        self.ledgers, self.events, self.sources = {}, {}, {}
        self.campaign_runs = []

    def add(self, name, *batches, seconds=0.0, share=1.0, priority=0, ledger=None):
        engine = self.engine
        ledger = ledger or MemoryLedger(first_id=1 + 100_000 * len(self.campaign_runs))
        self.ledgers[name] = ledger
        events = self.events[name] = EventList()
        source = self.sources[name] = ListSource(
            *(Batch(batch) if isinstance(batch, list) else batch for batch in batches),
            seconds=seconds,
        )
        weight = Weight(share, priority)
        campaign = Campaign(
            name, source, ledger, events, engine.policy, weight=weight,
            halt_suspicious=engine.halt_suspicious,
        )  # fmt: skip
        self.campaign_runs.append(
            make_campaign_run(campaign, engine.pool, engine.clock, self.limit, lambda: 1.0)
        )
        return self

    def again(self):
        """The next run over the same ledgers and platform; the sources begin from the start."""
        self.engine.pool = self.engine.make_pool(self.engine.connections())
        run = CampaignsFixture(engine=self.engine)
        for name, source in self.sources.items():
            run.add(name, *source.items, ledger=self.ledgers[name])
        return run

    def pipeline(self, **options):
        engine = self.engine
        options = PipelineOptions(**{"workers": 4, "once": True, **options})
        self.stream = Pipeline(self.campaign_runs, engine.pool, engine.clock, options)
        return self.stream

    def checked(self):
        """Whose contacts were begun, in their order."""
        requests = self.engine.platform.requests
        return [r.conversation_id.split("-")[0] for r in requests if r.step is Step.CHECK]

    def opened(self, campaign):
        return self.ledgers[campaign].count(Status.OPENED)

    def pause_events(self, campaign):
        return [
            (type(event).__name__, event.reason)
            for event in self.events[campaign].of_type(Halted, Resumed)
        ]
