"""Puts the parts of one campaign's run together."""

from dispatcher.domain.next_step import Jitter
from dispatcher.engine.campaign_run import Campaign, CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.completion import Completer
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.due_times import DueTimes
from dispatcher.engine.intake import ContactLimit, Intake
from dispatcher.engine.look_back import LookBackReader
from dispatcher.engine.platform_clock import PlatformClock
from dispatcher.engine.reconciler import Reconciler
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.state_batcher import StateBatcher
from dispatcher.ports import Clock


def make_campaign_run(
    campaign: Campaign, pool: ClientPool, clock: Clock, limit: ContactLimit, jitter: Jitter,
    states_per_call: int = 1,
) -> CampaignRun:  # fmt: skip
    """Return a campaign's run; ``limit`` and ``pool`` are shared with the other campaigns.

    With ``states_per_call`` above 1, so many states are read in one request at most.
    """
    ledger, events, rules = campaign.ledger, campaign.events, campaign.rules
    policy = campaign.policy
    due_times, platform_clock = DueTimes(), PlatformClock(clock)
    completer = Completer(ledger, events, clock, rules, due_times, platform_clock)
    requester = Requester(pool, completer, rules, events, clock, platform_clock)
    refusals = RefusalHandler(pool, completer, events, clock)
    batcher = StateBatcher(pool, requester, refusals, clock, policy, states_per_call)
    intake = Intake(campaign.source, ledger, events, clock, due_times, limit)
    delivery = Delivery(
        requester=requester,
        batcher=batcher if states_per_call > 1 else None,
        refusals=refusals,
        completer=completer,
        rules=rules,
        policy=policy,
        jitter=jitter,
        clock=clock,
    )
    reconciler = Reconciler(
        pool=pool,
        look_backs=LookBackReader(requester, refusals, ledger, platform_clock, policy.reconcile),
        completer=completer,
        ledger=ledger,
        events=events,
        clock=clock,
        platform_clock=platform_clock,
        due_times=due_times,
        policy=policy,
    )
    return CampaignRun(campaign, clock, due_times, intake, delivery, reconciler)
