"""The section [rules]: what it takes, and what becomes of it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from dispatcher.app.campaign_rules import open_campaign_rules
from dispatcher.cli import cli
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import Finish
from dispatcher.domain.next_step import Defer
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, RetryReason, Status
from dispatcher.ports import Limits
from dispatcher.settings import RulesSettings, SettingsError, warnings
from tests.support.least_settings import SECRETS, only_mistake, settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules.quiet_hours=21-8", 'must be a window such as "21:00-08:00"'),
        ("rules.quiet_hours=08:00-08:00", "begins when it ends"),
        ("rules.timezone=Mars/Base", "is not a valid time zone"),
        ("rules.quiet_hours=mon-sun", "leaves no time"),
        ("rules.holidays=['25.12.']", 'dates such as "2026-12-25"'),
        ("rules.unknown_timezone=guess", '"hold"'),
        ("source.timezone=Mars/Base", "is not a valid time zone"),
        ("rules.cap_messages=-1", "at least 0"),
        ("rules.cap_hours=0", "more than 0"),
        ("rules.stop_failed_share=1", "less than 1"),
        ("rules.stop_failed_of=0", "at least 1"),
        ("rules.suppression_file=nowhere.txt", 'is not a file: "nowhere.txt"'),
        ("rules.timezone_column=address", "is a known column"),
    ],
)
def test_wrong_rules_say_what_is_right(text, words):
    """Each names its key and what it takes."""
    mistake = only_mistake(text)
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


@pytest.mark.parametrize(
    "text",
    [
        'rules.quiet_hours="mon-fri 20:00-09:00; sat,sun"',
        "rules.holidays=[2026-12-25, '12-26']",
        'rules.timezone="W. Europe Standard Time"',
        'source.timezone="utc+2"',
    ],
)
def test_what_the_rules_accept(text):
    """Days of the week, dates of TOML and of text, zones by other names."""
    assert settings(text)


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


async def test_holidays_alone_are_quiet_hours():
    """With no daily window, the day is quiet as a whole."""
    house = await made(holidays=("2026-12-25",), timezone="Europe/Berlin")
    moment = datetime(2026, 12, 25, 12, tzinfo=UTC).timestamp()
    deferred = house.check(Contact("k", "c", "t"), None, NEW, moment)
    assert isinstance(deferred, Defer)
    assert deferred.seconds == 11 * 3600


async def test_a_value_that_is_no_zone_is_logged_only_if_it_looks_like_one():
    """A column of people's names or numbers, named by mistake, does not get into the log."""
    house = await made(quiet_hours="21:00-08:00", timezone_column="zone")
    with capture_logs() as logs:
        for zone in ("Mars/Base", "Mars/Base", "+491700000005", "me@example.org"):
            house.check(Contact("k", "c", "t", attributes={"zone": zone}), None, NEW, 0.0)
    assert [line["value"] for line in logs] == ["Mars/Base", "(13 characters)", "(14 characters)"]
    assert {line["then"] for line in logs} == {"hold"}


async def test_contacts_wait_until_one_proves_that_the_list_fits(tmp_path):
    """With a stream there is nothing to compare before; the state check may bring the proof."""
    path = tmp_path / "never.txt"
    path.write_text("+491700000001\n")
    conversation = Conversation("c-1", State.ENDED, "person-1")
    async with AsyncExitStack() as stack:
        rules = RulesSettings(suppression_file=str(path))
        house = await open_campaign_rules(rules, "c", stack, lambda: None)
        contact = Contact("k-1", "c-1", "t", "person-1")
        with capture_logs() as logs:
            assert house.check(contact, None, NEW, 0.0) is None
            held = house.check(contact, conversation, NEW, 0.0)
            assert house.check(contact, conversation, NEW, 0.0) == held
        assert isinstance(held, Defer)
        assert held.reason is RetryReason.SUPPRESSION_LIST
        assert [line["event"] for line in logs] == ["suppression.unproved"]
        phone = replace(conversation, target=Target("+49 170 0000002", is_guest_id=False))
        assert house.check(contact, phone, NEW, 0.0) is None
        assert house.check(contact, conversation, NEW, 0.0) is None
        any_shape = RulesSettings(suppression_file=str(path), suppression_any_shape=True)
        house = await open_campaign_rules(any_shape, "c", stack, lambda: None)
        assert house.check(contact, conversation, NEW, 0.0) is None


def test_check_says_how_many_values_a_list_has(tmp_path, monkeypatch):
    """And which columns were taken; a damaged list is an error."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "never.csv"
    options = ["--source", "-", "--campaign", "c", "--platform-url", "https://a.example"]
    options += ["--set", "rules.suppression_file=never.csv"]
    path.write_text("since;Phone\n1;+491700000001\n2;+491700000002\n")
    result = CliRunner(env=SECRETS).invoke(cli, ["check", *options])
    assert result.exit_code == 16, result.output  # there are no contacts on standard input
    assert "suppression list never.csv: 2 values (column Phone)" in result.stdout
    path.write_text("since;Phone\n1,+491700000001\n")
    result = CliRunner(env=SECRETS).invoke(cli, ["check", *options])
    assert result.exit_code == 3
    assert "never.csv: line 2: has fewer columns" in result.stderr
