"""Reads outside of a run: they wait for what passes, and end where a run would halt."""

import pytest

from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import Step
from dispatcher.engine.readonly.platform_reader import PlatformReader, PlatformReadError
from dispatcher.ports import TokenUnavailableError
from tests.support.scripted import (
    ENDED,
    NOT_SENT,
    OPEN,
    RESET,
    OpenPacer,
    ScriptedPlatform,
    in_turn,
    refused,
    throttled,
)
from tests.support.virtual import VirtualClock, in_virtual_time


def reader_of(platform):
    pacer = OpenPacer()
    return PlatformReader(platform, pacer, VirtualClock(), RetryPolicy(), lambda: 0.5), pacer


def script(*results):
    return ScriptedPlatform(in_turn(*((Step.CHECK, result) for result in results)))


def read(platform, reader):
    return reader.read(Step.CHECK, lambda: platform.check("conversation-1"))


@in_virtual_time
async def test_passing_faults_a_429_and_an_expired_token_are_got_over():
    """Each is waited out or renewed, every permit is answered, and the state comes."""
    platform = script(RESET, refused(503), throttled(3.0), refused(401), OPEN)
    reader, pacer = reader_of(platform)
    assert await read(platform, reader) == OPEN
    assert [permit.end for permit in pacer.permits] == ["answered"] * 5
    assert platform.requests[3].at - platform.requests[2].at >= 3.0
    assert platform.requests[4].token > platform.requests[3].token


@in_virtual_time
async def test_a_token_that_expired_is_renewed_without_a_permit():
    """The permit goes back unused; the read is made once, with the new token."""
    platform = script(ENDED)
    platform.expired = True
    reader, pacer = reader_of(platform)
    assert await read(platform, reader) == ENDED
    assert [permit.end for permit in pacer.permits] == ["unused", "answered"]
    assert platform.steps() == [Step.CHECK]


@in_virtual_time
async def test_a_read_that_fails_for_the_fourth_time_ends_alone():
    """None is the answer for this one; the next is made all the same."""
    platform = script(RESET, RESET, RESET, RESET, ENDED)
    reader, _ = reader_of(platform)
    assert await read(platform, reader) is None
    assert await read(platform, reader) == ENDED


@in_virtual_time
async def test_a_platform_that_cannot_be_reached_ends_it():
    """Five requests in a row that could not leave."""
    platform = ScriptedPlatform(lambda _: NOT_SENT)
    reader, _ = reader_of(platform)
    assert await read(platform, reader) is None
    with pytest.raises(PlatformReadError, match=r"cannot be reached \(connection refused\)"):
        await read(platform, reader)
    assert len(platform.requests) == 5


@in_virtual_time
async def test_a_missing_scope_ends_it_and_one_forbidden_contact_does_not():
    """A 403 is judged by a token issued since; five in a row are a missing permission."""
    platform = ScriptedPlatform(lambda _: refused(403))
    reader, _ = reader_of(platform)
    for _ in range(4):
        assert (await read(platform, reader)).status == 403
    with pytest.raises(PlatformReadError, match="permission"):
        await read(platform, reader)
    platform.missing = ("messaging:read",)
    with pytest.raises(PlatformReadError, match="the token lacks scope messaging:read"):
        await read(platform, reader)


@in_virtual_time
async def test_a_limit_of_hours_and_a_token_refused_for_ever_end_it():
    """Nobody waits at a prompt for a daily limit, or renews tokens without end."""
    platform = script(throttled(7200.0, "checks.per.day"))
    reader, _ = reader_of(platform)
    with pytest.raises(PlatformReadError, match=r"checks\.per\.day"):
        await read(platform, reader)
    platform = ScriptedPlatform(lambda _: refused(401))
    reader, _ = reader_of(platform)
    with pytest.raises(PlatformReadError, match="401"):
        await read(platform, reader)
    assert len(platform.requests) == 5


@in_virtual_time
async def test_no_token_at_the_start_is_a_platform_that_cannot_be_reached():
    """The words say what to check."""
    platform = ScriptedPlatform()
    platform.token, platform.missing = 0, TokenUnavailableError("no route")
    reader, _ = reader_of(platform)
    with pytest.raises(PlatformReadError, match=r"no route.*platform\.base_url"):
        await reader.preflight()
