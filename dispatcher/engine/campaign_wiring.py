"""Makes the parts of a campaign's run, and connects them."""

from math import inf

from dispatcher.domain.first_call import FirstCallLearner
from dispatcher.domain.look_back_plan import LookBackPlan
from dispatcher.domain.look_schedule import LookSchedule
from dispatcher.domain.next_step import Jitter
from dispatcher.domain.unchecked_send import AddressProof
from dispatcher.engine.batch_size import batch_size
from dispatcher.engine.campaign_run import Campaign, CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.due_times import DueTimes
from dispatcher.engine.first_calls import FirstCalls
from dispatcher.engine.intake import ContactLimit, Intake
from dispatcher.engine.look_back import LookBackReader
from dispatcher.engine.platform_time import PlatformTime
from dispatcher.engine.recipients import Recipients
from dispatcher.engine.reconciler import Reconciler
from dispatcher.engine.record_candidates import RecordCandidates
from dispatcher.engine.refusal_guard import RefusalGuard
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.engine.state_batcher import StateBatcher
from dispatcher.engine.transition_writer import TransitionWriter
from dispatcher.ports import Clock, StatesPerCall


def make_campaign_run(
    campaign: Campaign, pool: ClientPool, clock: Clock, limit: ContactLimit, jitter: Jitter,
    states_per_call: StatesPerCall = 1,
) -> CampaignRun:  # fmt: skip
    """Return a campaign's run; ``limit`` and ``pool`` are shared with the other campaigns.

    Unless ``states_per_call`` is 1, so many states are read in one request at most.
    """

    def request_rate() -> float:
        return campaign.quota_share * sum(client.pacer.rate for client in pool.clients)

    ledger, events, rules = campaign.ledger, campaign.events, campaign.rules
    policy = campaign.policy
    looks = LookSchedule(campaign.look_share, request_rate, together=states_per_call != 1)
    due_times, platform_time = DueTimes(looks), PlatformTime(clock)
    transitions = TransitionWriter(ledger, events, clock, rules, due_times, platform_time)
    proof, is_shared = AddressProof(), states_per_call != 1
    compares = is_shared or campaign.likeness is not None
    recipients = Recipients(policy, rules, proof, events, compares=compares)
    requester = Requester(
        pool, transitions, rules, events, clock, platform_time, recipients, campaign.tenure
    )
    refusals = RefusalHandler(pool, transitions, events, clock)
    size = batch_size(states_per_call, request_rate)
    batcher = None
    if is_shared:
        batcher = StateBatcher(requester, refusals, policy, size, jitter)
    intake = Intake(
        campaign.source, ledger, events, clock, due_times, limit, at_once=campaign.admits_at_once
    )
    guard = RefusalGuard(
        transitions,
        events,
        clock,
        pool.probe_seconds,
        enabled=campaign.halt_suspicious,
        accepted=campaign.accepted,
    )
    first_calls = _make_first_calls(campaign, requester, proof, check_cost=1.0 / size())
    delivery = Delivery(
        requester, batcher, refusals, guard, transitions, rules, policy, jitter, clock, first_calls
    )
    reconciler = _make_reconciler(campaign, requester, refusals)
    run = CampaignRun(campaign, clock, due_times, intake, delivery, reconciler)
    if batcher is not None:
        batcher.queue.population = lambda: run.in_flight or inf
    return run


def _make_first_calls(
    campaign: Campaign, requester: Requester, proof: AddressProof, *, check_cost: float
) -> FirstCalls | None:
    """Return what chooses first calls; None if every state is read first."""
    if campaign.likeness is None:
        return None
    learner = FirstCallLearner(check_cost)
    clock, pool = requester.clock, requester.pool
    return FirstCalls(
        learner, campaign.likeness, campaign.policy, campaign.rules, campaign.events, clock, pool,
        proof,
    )  # fmt: skip


def _make_reconciler(
    campaign: Campaign, requester: Requester, refusals: RefusalHandler
) -> Reconciler:
    """Return what finds out whether messages in doubt were accepted."""
    ledger, policy, clock = campaign.ledger, campaign.policy, requester.clock
    transitions, platform_time = requester.transitions, requester.platform_time
    plan = LookBackPlan(policy.reconcile)
    candidates = RecordCandidates(ledger, clock)
    look_backs = LookBackReader(requester, refusals, ledger, platform_time, plan, candidates)
    return Reconciler(
        requester.pool, look_backs, transitions, ledger, campaign.events, clock, platform_time,
        transitions.due_times, policy, plan,
    )  # fmt: skip
