"""The plan on the page: the figures of `dispatcher plan --no-checks`, without a request."""

import asyncio

import pytest

from dispatcher.app import dry_run, page_plan, plan_words
from dispatcher.app.campaigns import OpenCampaign
from dispatcher.app.page_plan import PagePlans
from dispatcher.app.plan_words import NOTHING_DONE
from dispatcher.domain.contact import Contact
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.ports import Batch, SourceError
from dispatcher.ports.orders import CommandError
from dispatcher.settings import load
from tests.support import rich_ledger
from tests.support.least_settings import SECRETS

ROWS = "contact_key,conversation_id,external_contact_id\n"
UNKNOWN_ROWS = "Rows that the run has not read yet"


@pytest.fixture
async def opened(tmp_path, monkeypatch):
    """A function that returns an open campaign whose ledger is the rich one."""
    monkeypatch.chdir(tmp_path)
    await rich_ledger.make(tmp_path / "ledger.db")
    (tmp_path / "contacts.csv").write_text(
        f"{ROWS}key-3,c-3,p-3\nnew-1,c-n1,p-1\nnew-2,c-n2,p-1\nnew-3,c-n3,external-1\nnew-4,,p-4\n"
    )

    def open_campaign(rules=None, **values):
        sets = {**NEEDED, **{name.replace("__", "."): value for name, value in values.items()}}
        settings = load(None, env=SECRETS, sets=[f"{key}={value}" for key, value in sets.items()])
        campaign = settings.campaigns[0]
        rules = rules or CampaignRules(one_per_person=True)
        return OpenCampaign(campaign, settings.only(campaign), None, None, None, None, rules)

    return open_campaign


NEEDED = {
    "campaign": "a", "message.text": "Hello", "source.path": "contacts.csv",
    "platform.base_url": "http://127.0.0.1:9", "ledger.path": "ledger.db",
    "source.columns.contact_key": "contact_key",
}  # fmt: skip


async def plan_of(opened):
    return await PagePlans(lambda: [opened]).plan("a")


async def test_it_has_the_figures_and_the_words_of_the_command(opened):
    """Ledger and source, the same as without states; nothing connects to the platform."""
    campaign = opened()
    plan = await plan_of(campaign)
    report = await dry_run.plan_in_loop(
        campaign.settings, lambda _: None, sample=0, ended_after=0.0, seed=None
    )
    assert plan.rows == [*plan_words.rows(report)]
    assert plan.waiting == [*plan_words.in_ledger(report)]
    assert ("duplicate", "already in the campaign", 1) in plan.rows
    assert ("in the ledger", "in doubt, not planned", 3) in plan.waiting
    assert plan.outcomes == [("skipped", "expired", 37), ("skipped", "same_person", 2)]
    assert (plan.undecided, plan.contacts) == (1, 40)
    assert plan.requests["all"] == (1, 2)
    assert plan.halt.startswith("A run would halt: 37 of 40 contacts")
    assert plan.remarks == [*plan_words.remarks(campaign.settings, report, 0.0), NOTHING_DONE]
    assert not any(text.startswith(UNKNOWN_ROWS) for text in plan.unknown)


async def test_the_rules_of_the_run_are_applied_and_not_counted(opened):
    """Caps count the messages of the ledger; a list that is not proved stays so."""

    def prove(_):
        raise AssertionError

    rules = CampaignRules(
        cap=1, cap_seconds=1e12, suppressed=lambda ids, _: "p-4" in ids or "c-n2" in ids,
        list_unproved=prove,
    )  # fmt: skip
    plan = await plan_of(opened(rules, rules__one_per_person="false", rules__cap_messages="1"))
    assert plan.outcomes == [
        ("skipped", "expired", 37), ("skipped", "suppressed", 1), ("skipped", "capped", 1),
    ]  # fmt: skip
    assert plan.requests["checks"] == (2, 2)


async def test_it_looks_at_a_part_of_a_long_ledger_and_says_so(opened, monkeypatch):
    """The source comes after the ledger, so nothing of it is read then."""
    monkeypatch.setattr(page_plan, "MOST_LOOKED_AT", 5)
    plan = await plan_of(opened())
    assert plan.contacts == 5
    assert plan.unknown[0].startswith("What comes after the first 5 contacts and rows")


@pytest.mark.parametrize(
    "source", [{"source__path": "-"}, {"source__path": ".", "source__watch": "true"}]
)
async def test_a_source_that_cannot_be_read_twice_is_left_to_the_run(opened, source):
    """Its rows are not known, and are not taken away from it."""
    plan = await plan_of(opened(**source))
    assert plan.rows == []
    assert plan.contacts == 37
    assert any(text.startswith(UNKNOWN_ROWS) for text in plan.unknown)


async def test_a_source_that_is_read_for_long_is_left_after_some_seconds(opened, monkeypatch):
    """A reader of the page waits no longer; what was read before is shown."""
    closed = []

    class SlowSource:
        async def batches(self, _known):
            yield Batch([Contact("k", "c-1", "Hello", external_contact_id="p")])
            try:
                await asyncio.Event().wait()
            finally:
                closed.append(True)

    monkeypatch.setattr(page_plan, "make_source", lambda *_, **__: SlowSource())
    monkeypatch.setattr(page_plan, "LOOK_SECONDS", 0.5)
    plan = await plan_of(opened())
    assert plan.rows[0] == ("new contact", "", 1)
    assert plan.unknown[0].startswith("What comes after the first 38 contacts and rows")
    assert closed


async def test_what_is_not_known_follows_from_the_settings(opened):
    """Quiet hours that begin later, and states that come many in one request."""
    settings = {"platform__states_per_call": "20", "rules__quiet_hours": "22:00-08:00"}
    plan = await plan_of(opened(**settings, rules__timezone="Europe/Berlin"))
    assert any("quiet hours begin" in text for text in plan.unknown)
    assert any("platform.states_per_call" in text for text in plan.unknown)


async def test_a_plan_is_made_once_in_half_a_minute(opened, monkeypatch):
    """Readers who load the page again get the same one, also several at a time."""
    campaign, now = opened(), [1000.0]
    plans = PagePlans(lambda: [campaign])
    monkeypatch.setattr(page_plan.time, "time", lambda: now[0])
    first, second = await asyncio.gather(plans.plan("a"), plans.plan("a"))
    assert second is first
    now[0] += page_plan.KEPT_SECONDS + 1
    assert await plans.plan("a") is not first


async def test_a_campaign_that_is_not_open_and_a_source_that_is_gone(opened, tmp_path):
    """The errors that the page shows."""
    with pytest.raises(CommandError, match="no open campaign b"):
        await PagePlans(lambda: [opened()]).plan("b")
    campaign = opened()
    (tmp_path / "contacts.csv").unlink()
    with pytest.raises(SourceError, match=r"contacts\.csv"):
        await plan_of(campaign)
