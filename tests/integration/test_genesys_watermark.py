"""Up to when the analytics of `genesys` are complete, on the wire."""

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.ports import LookBackQuery, WatermarkQuery
from tests.integration.test_platform_genesys import (
    EPOCH,
    QUERY,
    FakeClock,
    conversation,
    customer,
    get,
    org,
    traced,
)

AVAILABILITY = ("GET", "/api/v2/analytics/conversations/details/jobs/availability")
AFTER = EPOCH + 300
BOTH = WatermarkQuery(AFTER, records=True, availability=True)
OURS = [LookBackQuery("c-1", EPOCH)]
NOTHING = {"conversations": [], "totalHits": 0}


def at(minutes, seconds=0):
    return f"2026-01-01T00:{minutes:02}:{seconds:02}Z"


def page(*rows):
    return {"conversations": list(rows), "totalHits": len(rows)}


def call(id_, when):
    row = traced(id_, when)
    row["participants"][0]["sessions"][0]["mediaType"] = "voice"
    return row


async def look(said, watermark=BOTH, times=1):
    """Look back at ten minutes past; return the last reply, the server and what was refused."""
    refused = []
    clock = FakeClock(epoch=EPOCH + 600)
    async with org(said, clock=clock, refused=refused) as opened:
        platform, server = opened
        for _ in range(times):
            reply = await platform.look_back(OURS, watermark)
    return reply, server, refused


async def test_the_newest_conversation_is_asked_for_first():
    """No filter for a person: whoever talks; the statement is not needed then."""
    said = {
        QUERY: [page(traced("n-1", at(6)), traced("n-2", at(4))), page(traced("c-1", at(1)))],
        get("c-1"): conversation("c-1", customer()),
    }
    reply, server, _ = await look(said)
    assert server.request_lines[2:] == [QUERY, QUERY, get("c-1")]
    asked = server.requests[2].json
    assert asked == {
        "interval": "2026-01-01T00:05:00.000Z/2026-01-01T00:11:00.000Z",
        "order": "desc",
        "orderBy": "conversationStart",
        "paging": {"pageSize": 25, "pageNumber": 1},
    }
    assert reply.result.newest_record == EPOCH + 360
    assert reply.result.complete_until is None
    assert [past.id for past in reply.result.past_conversations] == ["c-1"]


@pytest.mark.parametrize(
    "rows", [[], [traced("n-1", at(4))], [call("n-1", at(6))], [traced("n-1", at(30))]],
    ids=["none", "older", "a call", "in the future"],
)  # fmt: skip
async def test_the_statement_is_read_where_no_conversation_is_newer(rows):
    """Calls prove nothing about messages, and a time to come proves nothing at all."""
    said = {QUERY: [page(*rows), NOTHING], AVAILABILITY: {"dataAvailabilityDate": at(7, 30)}}
    reply, server, _ = await look(said)
    assert server.request_lines[2:] == [QUERY, AVAILABILITY, QUERY]
    newest = reply.result.newest_record
    assert newest is None or newest <= AFTER
    assert reply.result.complete_until == EPOCH + 450


@pytest.mark.parametrize(
    "body", [{}, {"dataAvailabilityDate": "soon"}, {"dataAvailabilityDate": at(30)}], ids=str
)
async def test_a_statement_that_cannot_be_understood_proves_nothing(body):
    """None, no date, or one in the future."""
    reply, _, refused = await look({QUERY: [NOTHING, NOTHING], AVAILABILITY: body})
    assert reply.result.complete_until is None
    assert reply.result.past_conversations == ()
    assert refused == []


@pytest.mark.parametrize("status", [403, 404, 400])
async def test_a_statement_that_is_refused_is_said_once_and_not_asked_for_again(status):
    """The look back goes on without it, and nothing halts."""
    words = {"message": "not for you", "code": "no"}
    said = {QUERY: [NOTHING] * 4, AVAILABILITY: (status, words)}
    reply, server, refused = await look(said, times=2)
    assert classify(Step.LOOK_BACK, reply.result) is AnswerKind.ACCEPTED
    assert server.request_lines[2:] == [QUERY, AVAILABILITY, QUERY, QUERY, QUERY]
    assert refused == [(AVAILABILITY[1], f"{status} not for you")]


async def test_a_query_for_the_newest_that_is_refused_leaves_the_statement():
    """Each is asked for by itself."""
    said = {
        QUERY: [(400, {"message": "a filter is needed"}), NOTHING],
        AVAILABILITY: {"dataAvailabilityDate": at(8)},
    }
    reply, _, refused = await look(said)
    assert (reply.result.newest_record, reply.result.complete_until) == (None, EPOCH + 480)
    assert [path for path, _ in refused] == [QUERY[1]]


async def test_a_permission_that_is_granted_later_makes_it_available_again():
    """Without it the whole look back is refused, which says nothing about the one call."""
    forbidden = (403, {"message": "missing permission", "code": "missing.permissions"})
    later = [page(traced("n-1", at(6))), NOTHING]
    reply, _, refused = await look(
        {QUERY: [forbidden, forbidden, *later], AVAILABILITY: [forbidden]}, times=2
    )
    assert reply.result.newest_record == EPOCH + 360
    assert refused == []


@pytest.mark.parametrize(
    "failure", [None, (500, {"message": "broken"}), (429, {"message": "slow"})]
)
async def test_a_statement_that_fails_is_asked_for_again(failure):
    """It is not refused; the next look back may have it."""
    said = {QUERY: [NOTHING] * 4, AVAILABILITY: [failure, {"dataAvailabilityDate": at(8)}]}
    reply, _, refused = await look(said, times=2)
    assert reply.result.complete_until == EPOCH + 480
    assert refused == []


async def test_a_token_that_is_gone_fails_the_look_back():
    """The renewal is the caller's, as ever."""
    reply, _, _ = await look({QUERY: [(401, {"message": "no token", "status": 401})]})
    assert isinstance(reply.result, Answer)
    assert reply.result.status == 401


async def test_only_what_the_settings_name_is_asked_for():
    """The statement alone, or neither."""
    alone = WatermarkQuery(AFTER, records=False, availability=True)
    said = {QUERY: [NOTHING], AVAILABILITY: {"dataAvailabilityDate": at(8)}}
    _, server, _ = await look(said, alone)
    assert server.request_lines[2:] == [AVAILABILITY, QUERY]
    _, server, _ = await look({QUERY: [NOTHING]}, None)
    assert server.request_lines[2:] == [QUERY]
