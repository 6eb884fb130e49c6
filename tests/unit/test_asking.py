"""Reads outside of a run: they wait for what passes, and end where a run would halt."""

import random
from dataclasses import replace

import pytest

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.dry_run import DryRun, DryRunOptions
from dispatcher.engine.readonly.platform_reader import PlatformReader, PlatformReadError
from dispatcher.ports import Batch, Claim, SourceError, TokenUnavailableError
from tests.support.scripted import (
    ENDED,
    NOT_SENT,
    OPEN,
    RESET,
    ListSource,
    OpenPacer,
    ScriptedPlatform,
    in_turn,
    refused,
    throttled,
)
from tests.support.virtual import START, VirtualClock, in_virtual_time


def asking(platform):
    pacer = OpenPacer()
    return PlatformReader(platform, pacer, VirtualClock(), RetryPolicy(), lambda: 0.5), pacer


def script(*results):
    return ScriptedPlatform(in_turn(*((Step.CHECK, result) for result in results)))


def read(platform, asker):
    return asker.read(Step.CHECK, lambda: platform.check("conversation-1"))


@in_virtual_time
async def test_passing_faults_a_429_and_an_expired_token_are_got_over():
    """Each is waited out or renewed, every permit is answered, and the state comes."""
    platform = script(RESET, refused(503), throttled(3.0), refused(401), OPEN)
    asker, pacer = asking(platform)
    assert await read(platform, asker) == OPEN
    assert [permit.end for permit in pacer.permits] == ["answered"] * 5
    assert platform.requests[3].at - platform.requests[2].at >= 3.0
    assert platform.requests[4].token > platform.requests[3].token


@in_virtual_time
async def test_a_token_that_expired_is_renewed_without_a_permit():
    """The permit goes back unused; the read is made once, with the new token."""
    platform = script(ENDED)
    platform.expired = True
    asker, pacer = asking(platform)
    assert await read(platform, asker) == ENDED
    assert [permit.end for permit in pacer.permits] == ["unused", "answered"]
    assert platform.steps() == [Step.CHECK]


@in_virtual_time
async def test_a_read_that_fails_again_and_again_is_given_up_alone():
    """None is the answer for this one; the next is made all the same."""
    platform = script(RESET, RESET, RESET, RESET, ENDED)
    asker, _ = asking(platform)
    assert await read(platform, asker) is None
    assert await read(platform, asker) == ENDED


@in_virtual_time
async def test_a_platform_that_cannot_be_reached_ends_it():
    """Five requests in a row that could not leave."""
    platform = ScriptedPlatform(lambda _: NOT_SENT)
    asker, _ = asking(platform)
    assert await read(platform, asker) is None
    with pytest.raises(PlatformReadError, match=r"cannot be reached \(connection refused\)"):
        await read(platform, asker)
    assert len(platform.requests) == 5


@in_virtual_time
async def test_a_missing_scope_ends_it_and_one_forbidden_contact_does_not():
    """A 403 is judged by a token issued since; five in a row are a missing permission."""
    platform = ScriptedPlatform(lambda _: refused(403))
    asker, _ = asking(platform)
    for _ in range(4):
        assert (await read(platform, asker)).status == 403
    with pytest.raises(PlatformReadError, match="permission"):
        await read(platform, asker)
    platform.missing = ("messaging:read",)
    with pytest.raises(PlatformReadError, match="the token lacks scope messaging:read"):
        await read(platform, asker)


@in_virtual_time
async def test_a_limit_of_hours_and_a_token_refused_for_ever_end_it():
    """Nobody waits at a prompt for a daily limit, or renews tokens without end."""
    platform = script(throttled(7200.0, "checks.per.day"))
    asker, _ = asking(platform)
    with pytest.raises(PlatformReadError, match=r"checks\.per\.day"):
        await read(platform, asker)
    platform = ScriptedPlatform(lambda _: refused(401))
    asker, _ = asking(platform)
    with pytest.raises(PlatformReadError, match="401"):
        await read(platform, asker)
    assert len(platform.requests) == 5


@in_virtual_time
async def test_no_token_at_the_start_is_a_platform_that_cannot_be_reached():
    """The words say what to check."""
    platform = ScriptedPlatform()
    platform.token, platform.missing = 0, TokenUnavailableError("no route")
    asker, _ = asking(platform)
    with pytest.raises(PlatformReadError, match=r"no route.*platform\.base_url"):
        await asker.preflight()


class Ledger:
    """What a planner asks a ledger."""

    in_doubt = 2

    def __init__(self, *waiting, known=()):
        self._waiting, self._known, self._people = waiting, set(known), set()

    def positions(self):
        return {"fingerprint": "position"}

    def fresh(self, contacts):
        new = [contact for contact in contacts if contact.key not in self._known]
        self._known.update(contact.key for contact in new)
        return new

    def reached(self, external_contact_id):
        before = external_contact_id in self._people
        self._people.add(external_contact_id)
        return before

    def waiting(self):
        yield from self._waiting


def contacts(*numbers, **more):
    return [
        Contact(f"k{n}", f"c{n}", "Hello", external_contact_id=f"c{n}", **more) for n in numbers
    ]


async def planned(source, ledger, platform, sample=None, rules=None):
    options = DryRunOptions(sample, workers=4, ended_after=60.0, rules=rules or CampaignRules())
    below = random.Random(1).randrange
    planner = DryRun(source, ledger, DecisionPolicy(), VirtualClock(), options, below)
    return await planner.run(platform, asking(platform)[0])


@in_virtual_time
async def test_every_row_is_counted_once_and_by_what_it_is():
    """Rows of the source, contacts of the ledger, those that need no check, those due later."""
    rejected = RejectedRow("f", 3, "no_id", "empty", b"")
    source = ListSource(
        Batch([*contacts(1, 2, 3), *contacts(4, not_before=START + 500)], [rejected], filtered=2),
        Batch([*contacts(2, 5), *contacts(6, expires_at=START - 1)]),
    )
    waits = Claim(9, contacts(9)[0], Progress(unknown=1))
    platform = ScriptedPlatform(lambda _: OPEN)
    plan = await planned(source, Ledger(waits, known=["k1"]), platform)
    progress = plan.seen
    assert source.known == {"fingerprint": "position"}
    assert (progress.rows, progress.contacts, progress.duplicates, progress.filtered) == (
        10,
        5,
        2,
        2,
    )
    assert (dict(progress.rejected), progress.waiting, progress.later) == ({"no_id": 1}, 1, 1)
    assert sorted(request.conversation_id for request in platform.requests) == [
        "c2", "c3", "c4", "c5", "c9",
    ]  # fmt: skip
    ends = {key: span.number for key, span in plan.estimate.outcomes.items()}
    assert ends == {
        (Status.NOTIFIED, Reason.DELIVERED): 5,
        (Status.SKIPPED, Reason.EXPIRED): 1,
    }
    assert plan.estimate.requests.number == 10
    assert (plan.in_doubt, progress.at_end) == (2, True)
    assert 490 < plan.longest_wait <= 500


@in_virtual_time
async def test_the_rules_that_need_no_state_check_are_foreseen():
    """A repeated person is written to once, a suppressed one never; no state is read."""
    twice = [replace(one, external_contact_id="same") for one in contacts(1, 2, 3)]
    source = ListSource(Batch([*twice, *contacts(4)]))
    rules = CampaignRules(one_per_person=True, suppressed=lambda names: "k3" in names)
    platform = ScriptedPlatform(lambda _: OPEN)
    plan = await planned(source, Ledger(), platform, rules=rules)
    assert sorted(request.conversation_id for request in platform.requests) == ["c1", "c4"]
    skipped = {
        reason: span.number
        for (status, reason), span in plan.estimate.outcomes.items()
        if status is Status.SKIPPED
    }
    assert skipped == {Reason.SAME_PERSON: 1, Reason.SUPPRESSED: 1}


@in_virtual_time
async def test_a_sample_asks_as_many_as_it_says_and_no_more_at_once_than_permitted():
    """20 of 300 contacts, four at a time; nothing is sent."""
    source = ListSource(*(Batch(contacts(*range(n, n + 50))) for n in range(0, 300, 50)))
    platform = ScriptedPlatform(lambda _: ENDED)
    plan = await planned(source, Ledger(), platform, sample=20)
    assert platform.steps() == [Step.CHECK] * 20
    assert platform.most_at_once == 4
    opened = plan.estimate.outcomes[Status.OPENED, Reason.DELIVERED]
    assert (opened.number, plan.estimate.requests.number) == (300, 600)
    assert opened.low < 300


@in_virtual_time
async def test_states_that_cannot_be_read_widen_the_interval_instead_of_counting():
    """One of four gives no answer: the estimate rests on three."""
    platform = ScriptedPlatform(lambda it: RESET if it.conversation_id == "c1" else ENDED)
    plan = await planned(ListSource(Batch(contacts(1, 2, 3, 4))), Ledger(), platform)
    assert (plan.seen.asked, plan.seen.unread) == (3, 1)
    opened = plan.estimate.outcomes[Status.OPENED, Reason.DELIVERED]
    assert (opened.low, opened.number, opened.high) == (3, 4, 4)


@in_virtual_time
async def test_whatever_fails_ends_the_plan_and_closes_the_source():
    """An error of the source, or of the platform while the source is still being read."""
    broken = ListSource(Batch(contacts(1)), SourceError("f: cannot be read"))
    with pytest.raises(SourceError):
        await planned(broken, Ledger(), ScriptedPlatform(lambda _: OPEN))
    source = ListSource(*(Batch(contacts(n)) for n in range(50)), seconds=0.01)
    with pytest.raises(PlatformReadError):
        await planned(source, Ledger(), ScriptedPlatform(lambda _: NOT_SENT))
    assert broken.closed
    assert source.closed
