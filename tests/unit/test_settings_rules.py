"""The section [rules]: what it takes, and what becomes of it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from dispatcher.app.campaign_rules import open_campaign_rules
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Finish
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.ports import Limits
from dispatcher.settings import RulesSettings, SettingsError, load, warnings

SECRETS = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
NEEDED = {"campaign": "c1", "source.path": "-", "platform.base_url": "https://api.example.com"}


def settings(*sets):
    return load(None, env=SECRETS, sets=sets, flags=NEEDED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules.quiet_hours=21-8", 'must be a window such as "21:00-08:00"'),
        ("rules.quiet_hours=08:00-08:00", "begins when it ends"),
        ("rules.timezone=Mars/Base", "is not a valid time zone"),
        ("rules.cap_messages=-1", "at least 0"),
        ("rules.cap_hours=0", "more than 0"),
        ("rules.stop_failed_share=1", "less than 1"),
        ("rules.stop_failed_of=0", "at least 1"),
        ("rules.suppression_file=nowhere.txt", 'is not a file: "nowhere.txt"'),
        ("rules.timezone_column=address", "is a column with another meaning"),
    ],
)
def test_wrong_rules_say_what_is_right(text, words):
    """Each names its key and what it takes."""
    with pytest.raises(SettingsError) as caught:
        settings(text)
    (mistake,) = caught.value.mistakes
    assert mistake.key == text.partition("=")[0]
    assert words in str(mistake)


def test_a_renamed_column_is_taken_by_its_own_name():
    """The name in the file counts: it has its meaning, and the meaning's name is free."""
    renamed = 'source.columns.address="MAIL"'
    assert settings(renamed, "rules.timezone_column=address").rules.timezone_column == "address"
    with pytest.raises(SettingsError):
        settings(renamed, "rules.timezone_column=MAIL")


def test_a_column_without_quiet_hours_is_perhaps_not_meant():
    """It is allowed, with a warning."""
    found = warnings(settings("rules.timezone_column=zone"))
    assert any("rules.timezone_column" in warning for warning in found)


async def made(**keys):
    async with AsyncExitStack() as stack:
        return await open_campaign_rules(RulesSettings(**keys), "c", stack, lambda: None)


async def test_the_defaults_are_one_message_a_person():
    """Nothing else is on."""
    house = await made()
    assert house.limits(1000.0) == Limits(one_per_person=True)
    assert house.check(Contact("k", "c", "t"), None, NEW, 1000.0) is None
    assert house.failure_rate is None
    off = await made(one_per_person=False)
    assert off.limits(1000.0) == Limits()


async def test_hours_become_seconds():
    """A cap counts from so many hours before the intent on."""
    house = await made(cap_messages=2, cap_hours=1.5)
    assert house.limits(10_000.0) == Limits(one_per_person=True, cap=2, cap_since=4600.0)


async def test_a_list_is_followed_while_the_run_goes_on(tmp_path, monkeypatch):
    """Somebody who is put on the list is barred soon after, away from the event loop."""
    monkeypatch.setattr("dispatcher.sources.suppression_list.LOOK_SECONDS", 0.01)
    path = tmp_path / "never.txt"
    path.write_text("nobody\n")
    async with AsyncExitStack() as stack:
        rules = RulesSettings(suppression_file=str(path))
        house = await open_campaign_rules(rules, "c", stack, lambda: None)
        contact = Contact("k", "c", "t")
        assert house.check(contact, None, NEW, 0.0) is None
        path.write_text("nobody\nK\n")
        for _ in range(1000):
            if house.check(contact, None, NEW, 0.0) is not None:
                break
            await asyncio.sleep(0.01)
        assert house.check(contact, None, NEW, 0.0) == Finish(Status.SKIPPED, Reason.SUPPRESSED)
