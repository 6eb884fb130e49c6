"""The official SDK against the sandbox: its calls succeed, and its models hold what was sent."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.sandbox.conversation_kinds import KINDS, UNKNOWN_STATE
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.scenario.value_types import READ_SCOPES
from dispatcher.sandbox.server import Sandbox
from tests.support.genesys_sdk import SDK, Client, misfits

pytestmark = pytest.mark.xdist_group("official SDK")
SCENARIO = {
    "dialect": "genesys",
    "rate": {"allowed": 10_000},
    "world": {"extra_fields_share": 0.0},
    "log_text": True,
}


@asynccontextmanager
async def client(log_path=None, **changes):
    async with Sandbox(load(SCENARIO | changes), log_path=log_path) as sandbox:
        it = Client(sandbox.url)
        it.sandbox = sandbox
        try:
            await it.login()
            yield it
        finally:
            it.close()


def message(who, **changes):
    request = SDK.SendAgentlessOutboundMessageRequest()
    request.from_address = "deployment-1"
    request.external_contact_id = f"x-{who}"
    request.to_address_messenger_type = "webmessaging"
    request.text_body = "Hello"
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def customer(conversation):
    return next(
        participant
        for participant in conversation.participants
        if participant.purpose == "customer"
    )


def query(**filters):
    now = datetime.now(UTC)
    body = SDK.ConversationQuery()
    body.interval = f"{(now - timedelta(hours=1)).isoformat()}/{now.isoformat()}"
    body.paging = SDK.PagingSpec()
    body.paging.page_size, body.paging.page_number = 100, 1
    where = SDK.SegmentDetailQueryFilter()
    where.type, where.predicates = "and", []
    for dimension, value in filters.items():
        one = SDK.SegmentDetailQueryPredicate()
        one.type, one.operator = "dimension", "matches"
        one.dimension, one.value = dimension, value
        where.predicates.append(one)
    body.segment_filters = [where]
    return body


async def test_from_the_token_to_the_analytics_without_an_error(tmp_path):
    """Token, state check, agentless, tags, attributes, analytics query and multi-get."""
    log = tmp_path / "effects.jsonl"
    async with client(log) as c:
        me = await c.call(c.tokens.get_tokens_me)
        assert me.o_auth_client.authorized_grant_type == "CLIENT-CREDENTIALS"
        assert "conversations" in me.authorized_scope
        window = await c.call(c.conversations.get_conversations_messaging_threadingtimeline)
        assert window.settings[0].timeout_in_minutes == window.default_timeout_minutes == 4320

        state = await c.call(c.conversations.get_conversations_message, "ended-1")
        guest = customer(state)
        assert (guest.state, guest.external_contact.id) == ("disconnected", "x-ended-1")
        assert datetime.now(UTC) - guest.end_time > timedelta(minutes=4320)

        send = c.conversations.post_conversations_messages_agentless
        sent = await c.call(send, message("ended-1"))
        assert (sent.messenger_type, sent.use_existing_active_conversation) == (
            "webmessaging",
            False,
        )
        assert sent.conversation_id != "ended-1"
        joined = await c.call(send, message("resumable-1"))
        assert joined.conversation_id == "resumable-1"

        tags = SDK.ConversationTagsUpdate()
        tags.external_tag = "ended-1"
        await c.call(c.conversations.put_conversation_tags, sent.conversation_id, tags)
        attributes = SDK.ParticipantAttributes()
        attributes.attributes = {"previous": "ended-1"}
        new = await c.call(c.conversations.get_conversations_message, sent.conversation_id)
        patch = c.conversations.patch_conversations_message_participant_attributes
        await c.call(patch, new.id, customer(new).id, body=attributes)
        new = await c.call(c.conversations.get_conversations_message, sent.conversation_id)
        assert customer(new).attributes == {"previous": "ended-1"}
        by_api = next(
            participant for participant in new.participants if participant.purpose == "api"
        )
        assert [message.message_id for message in by_api.messages] == [sent.id]

        look = c.analytics.post_analytics_conversations_details_query
        found = await c.call(
            look,
            query(externalContactId="x-ended-1", messageType="webmessaging", direction="outbound"),
        )
        assert found.total_hits == 1
        assert found.conversations[0].conversation_id == sent.conversation_id
        assert found.conversations[0].external_tag == "ended-1"
        many = await c.call(
            c.analytics.get_analytics_conversations_details, id=["active-1", "ended-1", "gone-1"]
        )
        ended = {
            conversation.conversation_id: conversation.conversation_end
            for conversation in many.conversations
        }
        assert ended["active-1"] is None
        assert ended["ended-1"] < datetime.now(UTC)
        c.sandbox.counts()
        effects = [json.loads(line) for line in log.read_text().splitlines()]
    assert [effect["messageId"] for effect in effects] == [sent.id, joined.id]
    assert {effect["text"] for effect in effects} == {"Hello"}


async def test_up_to_when_records_are_complete_and_who_else_talks():
    """The statement of the platform, and the newest conversation of anybody."""
    traffic = {"others_seconds": 0.05}
    async with client(analytics={"availability_lag_seconds": 600}, traffic=traffic) as c:
        read = c.analytics.get_analytics_conversations_details_jobs_availability
        stated = (await c.call(read)).data_availability_date
        assert timedelta(seconds=599) < datetime.now(UTC) - stated < timedelta(seconds=610)
        await asyncio.sleep(0.3)
        asked = query()
        asked.segment_filters, asked.order, asked.order_by = None, "desc", "conversationStart"
        asked.paging.page_size = 2
        found = await c.call(c.analytics.post_analytics_conversations_details_query, asked)
        newest, older = [row.conversation_start for row in found.conversations]
        assert datetime.now(UTC) - timedelta(seconds=5) < older < newest <= datetime.now(UTC)


async def test_every_kind_of_conversation_fits_the_models():
    """State checks and multi-get have no field and no value that the SDK does not know."""
    async with client() as c:
        read = c.conversations.get_conversations_message
        for kind in sorted(KINDS.keys() - {"gone"}):
            state = await asyncio.to_thread(read, f"{kind}-1")
            raw = json.loads(c.api.last_response.data)
            wrong = list(misfits(raw, "MessageConversation", state))
            assert all(UNKNOWN_STATE in problem for problem in wrong), wrong
            assert bool(wrong) is (kind in ("unknown", "waking"))
            await c.call(c.analytics.get_analytics_conversations_details, id=[f"{kind}-1"])
        with pytest.raises(SDK.rest.ApiException) as refused:
            await asyncio.to_thread(read, "gone-1")
        assert refused.value.status == 404


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("active-1", 409, "conflict"),
        ("channel-1", 400, "bad.request"),
        ("forbidden-1", 403, "not.authorized"),
        ("somebody-else-1", 404, "not.found"),
    ],
)
async def test_refusals_fit_the_models(who, status, code):
    """Each is raised with its status, and its body is the SDK's own ErrorBody."""
    async with client() as c:
        await _assert_refused(c, message(who), status, code)


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"token": {"granted": list(READ_SCOPES)}}, "missing.scope"),
        ({"token": {"permissions": []}}, "missing.permissions"),
        ({"token": {"divisions": []}}, "missing.division.permission"),
    ],
)
async def test_what_is_missing_fits_the_models(missing, code):
    """The body of the 403 distinguishes a scope, a permission and a division."""
    async with client(**missing) as c:
        await _assert_refused(c, message("ended-1"), 403, code)


async def test_over_quota_fits_the_models():
    """The body of a 429 too."""
    async with client(rate={"allowed": 1, "window_seconds": 30, "phase": 0}) as c:
        await c.call(c.tokens.get_tokens_me)
        await _assert_refused(c, message("ended-1"), 429, "too.many.requests.retry.after")


async def test_a_wrong_secret_is_refused():
    """The token host answers what the SDK raises."""
    async with client() as c:
        with pytest.raises(SDK.rest.ApiException) as refused:
            await c.login(secret="wrong")
        assert refused.value.status == 401
        assert json.loads(refused.value.body)["error"] == "invalid_client"


async def _assert_refused(c, request, status, code):
    with pytest.raises(SDK.rest.ApiException) as refused:
        await c.call(c.conversations.post_conversations_messages_agentless, request)
    body = json.loads(refused.value.body)
    assert (refused.value.status, body["status"], body["code"]) == (status, status, code)
    read = c.read_as("ErrorBody", body)
    assert read.context_id == refused.value.headers["ININ-Correlation-Id"]
    assert not list(misfits(body, "ErrorBody", read))
