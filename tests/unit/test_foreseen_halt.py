"""The halt that a plan foresees is the one that the run makes: one rule, the same answers."""

import random

import pytest

from dispatcher.domain.conversation import State
from dispatcher.domain.decided_refusals import decided_kind
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.foreseen_halt import HaltForecast
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.domain.suspicion import Local, RefusalKind
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.dry_run import DryRun, DryRunOptions
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch, Claim
from tests.support.engine import EngineFixture, contacts
from tests.support.scripted import (
    GOOD,
    OPEN,
    ListSource,
    OpenPacer,
    ScriptedPlatform,
    refused,
    state_answer,
)
from tests.support.virtual import VirtualClock, in_virtual_time

GONE = RefusalKind(Step.CHECK, 404)


class EmptyLedger:
    """A ledger without contacts but for ``claims``."""

    in_doubt = 0

    def __init__(self, *claims):
        self._claims = claims

    def streams(self):
        return {}

    def take_new(self, new):
        return new

    def mark_reached(self, _person):
        return False

    def waiting(self):
        yield from self._claims


async def planned(answer, people, *, rules=None, sample=None, halts=True, claims=()):
    """Return what a plan foresees, with one reader, so that the answers keep their order."""
    clock, below = VirtualClock(), random.Random(1).randrange
    platform = ScriptedPlatform(answer)
    options = DryRunOptions(sample, 1, 60.0, rules or CampaignRules(), halts)
    source, ledger = ListSource(Batch(people)), EmptyLedger(*claims)
    run = DryRun(source, ledger, DecisionPolicy(), clock, options, below)
    reader = PlatformReader(platform, OpenPacer(), clock, RetryPolicy(), lambda: 0.5)
    return await run.run(platform, reader)


def number(request):
    return int(request.conversation_id.rsplit("-")[-1])


def checks(answer):
    """Return a platform that answers a check by the contact's number, and takes every send."""
    return lambda request: (
        answer(number(request)) if request.step is Step.CHECK else GOOD[request.step]
    )


NOBODY = state_answer(State.ENDED, identity=None)
ENDED = GOOD[Step.CHECK]
CASES = {
    "all gone": lambda _: refused(404),
    "every third": lambda n: refused(404) if n % 3 == 0 else ENDED,
    "the first 40": lambda n: refused(404) if n < 40 else ENDED,
    "a block in the middle": lambda n: refused(404) if 100 <= n < 260 else ENDED,
    "a small block": lambda n: refused(404) if 100 <= n < 150 else ENDED,
    "no person": lambda _: NOBODY,
    "refused alike": lambda n: refused(400) if n > 30 else ENDED,
    "the end": lambda n: refused(404) if n >= 270 else ENDED,
}


@pytest.mark.parametrize("size", [4, 30, 300])
@pytest.mark.parametrize("case", CASES)
@in_virtual_time
async def test_plan_and_run_agree(case, size):
    """Whatever the platform answers, one worker halts exactly where the plan says so."""
    engine = EngineFixture(checks(CASES[case]), halt_suspicious=True)
    outcome = await engine.pipeline(contacts(size), workers=1, wait_limit=1.0).run()
    foreseen = (await planned(checks(CASES[case]), contacts(size))).halt
    assert (foreseen is not None) == (outcome is RunOutcome.HALTED)
    if foreseen is not None and foreseen.after is not None:
        asked = sum(request.step is Step.CHECK for request in engine.platform.requests)
        assert foreseen.after == asked


@in_virtual_time
async def test_a_rule_that_ends_most_contacts_is_foreseen_without_a_state():
    rules = CampaignRules(suppressed=lambda *_: True)
    report = await planned(checks(lambda _: OPEN), contacts(100), rules=rules, sample=0)
    assert report.halt is not None
    assert (report.halt.kind.step, report.halt.alike, report.halt.answers) == (
        Local.RULES,
        100,
        100,
    )
    assert (report.halt.share, report.halt.after) == (1.0, 26)
    assert report.estimate.outcomes[Status.SKIPPED, Reason.SUPPRESSED].number == 100


@in_virtual_time
async def test_a_sample_is_judged_in_the_order_of_the_source():
    """The first fifth of the source is gone: mixed among the others, no window would show it."""
    people, gone = contacts(2000), checks(lambda n: refused(404) if n < 400 else ENDED)
    report = await planned(gone, people, sample=400)
    assert report.halt is not None
    assert report.halt.kind == GONE
    assert 0.1 < report.halt.share < 0.3


@in_virtual_time
async def test_a_run_that_does_not_halt_is_not_said_to():
    assert (await planned(checks(CASES["all gone"]), contacts(99), halts=False)).halt is None


@in_virtual_time
async def test_what_an_earlier_run_put_back_halts_the_next_one_after_one_refusal():
    back = [Claim(n, one, Progress(suspected=GONE.key)) for n, one in enumerate(contacts(2))]
    again = await planned(checks(CASES["all gone"]), [], claims=back)
    assert again.halt is not None
    assert (again.halt.after, again.progress.suspected) == (1, 2)
    assert (await planned(checks(lambda _: ENDED), [], claims=back)).halt is None


def test_a_refusal_that_was_judged_before_does_not_halt_at_the_end():
    """30 of 100 are refused first and judged by those after them: nothing is held at the end."""
    forecast = HaltForecast()
    for n in range(300):
        if n % 10 < 3 and n < 100:
            forecast.refuse(GONE)
        else:
            forecast.accept(Step.CHECK)
    assert forecast.halt() is None


def test_ends_that_are_the_contacts_own_have_no_kind():
    assert decided_kind(Reason.CONVERSATION_GONE) == GONE
    assert [
        reason for reason in (Reason.DELIVERED, Reason.SAME_PERSON) if decided_kind(reason)
    ] == []
