"""One message outside of every campaign: the requests of a run, and no second try of a send."""

import pytest

from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.readonly.platform_reader import PlatformReader
from dispatcher.engine.single_send import SingleSend
from tests.support.engine import contact
from tests.support.scripted import (
    ENDED,
    GOOD,
    NOT_ENDED,
    OPEN,
    RESET,
    OpenPacer,
    ScriptedPlatform,
    in_turn,
    refused,
    state_answer,
)
from tests.support.virtual import VirtualClock, in_virtual_time


def sender_of(platform, **rules):
    pacer, clock = OpenPacer(), VirtualClock()
    reader = PlatformReader(platform, pacer, clock, RetryPolicy(), lambda: 0.5)
    rules = CampaignRules(**rules)
    return SingleSend(platform, pacer, reader, DecisionPolicy(), rules, clock), pacer


@pytest.mark.parametrize(
    ("state", "step", "words"),
    [
        (OPEN, Step.NOTIFY, "sent into the open session: conversation"),
        (ENDED, Step.OPEN, "sent as a new conversation: conversation"),
    ],
)
@in_virtual_time
async def test_the_call_is_the_one_of_a_run(state, step, words):
    """A state check, then notify or open, each with a permit."""
    platform = ScriptedPlatform(lambda request: {**GOOD, Step.CHECK: state}[request.step])
    sender, pacer = sender_of(platform)
    report = await sender.send(contact(1))
    assert report.is_confirmed
    assert report.detail.startswith(words)
    assert platform.steps() == [Step.CHECK, step]
    assert [permit.end for permit in pacer.permits] == ["answered", "answered"]


@pytest.mark.parametrize(
    ("answers", "words", "requests"),
    [
        ([(Step.CHECK, refused(404))], "the state check was refused: 404", 1),
        ([(Step.CHECK, NOT_ENDED)], "a run would wait (not_ended)", 1),
        ([(Step.CHECK, ENDED), (Step.OPEN, refused(422))], "did not accept it: 422", 2),
        ([(Step.CHECK, ENDED), (Step.OPEN, RESET)], "it may have been sent", 2),
    ],
)
@in_virtual_time
async def test_what_is_not_sent_is_explained_and_not_tried_again(answers, words, requests):
    """A person decides what to do next."""
    platform = ScriptedPlatform(in_turn(*answers))
    sender, _ = sender_of(platform)
    report = await sender.send(contact(1))
    assert not report.is_confirmed
    assert words in report.detail
    assert len(platform.requests) == requests


@in_virtual_time
async def test_a_person_on_the_suppression_list_gets_no_test_message():
    """By what the platform says of the conversation, too."""
    platform = ScriptedPlatform(in_turn((Step.CHECK, state_answer(identity="somebody"))))
    sender, _ = sender_of(platform, suppressed=lambda ids, _: "somebody" in ids)
    report = await sender.send(contact(1))
    assert not report.is_confirmed
    assert "suppressed" in report.detail


@in_virtual_time
async def test_a_token_that_expired_between_check_and_send_is_renewed():
    """The permit goes back, and the message is sent once."""
    platform = ScriptedPlatform(lambda request: {**GOOD, Step.CHECK: ENDED}[request.step])
    sender, pacer = sender_of(platform)
    platform.on_wire = lambda request: setattr(platform, "expired", request.step is Step.CHECK)
    report = await sender.send(contact(1))
    assert report.is_confirmed
    assert platform.steps() == [Step.CHECK, Step.OPEN]
    assert [permit.end for permit in pacer.permits] == ["answered", "unused", "answered"]
