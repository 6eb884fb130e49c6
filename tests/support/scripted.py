"""Fakes around the engine: a scripted platform, a pacer, a source and a list of events."""

import asyncio
from dataclasses import dataclass, replace

from dispatcher.domain.answer import Answer, GrantKind, Hint, MissingGrant, NoAnswer, NoAnswerCause
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.events import QuotaUse
from dispatcher.domain.status import Step
from dispatcher.ports import (
    MAX_LOOK_BACK_IDS,
    MAX_STATES_PER_CALL,
    Reply,
    TokenExpiredError,
    TokenGrants,
    TokenLease,
)
from tests.support.archive import Archive
from tests.support.virtual import START

GUEST = Target("guest-1", is_guest_id=True)
RESET, TIMEOUT = NoAnswer(NoAnswerCause.RESET), NoAnswer(NoAnswerCause.TIMEOUT)
NOT_SENT = NoAnswer(NoAnswerCause.NOT_SENT, "connection refused")
CLOSED_400 = Answer(400, from_platform=True, hint=Hint.CLOSED, address="told@example.org")
ACTIVE_400 = Answer(400, from_platform=True, hint=Hint.ACTIVE, words="a conversation is active")
CHANNEL_400 = Answer(400, from_platform=True, hint=Hint.CHANNEL)
TAKEN = Answer(202, from_platform=True, message_id="message-1", conversation_id="conversation-1")
OPENED = Answer(201, from_platform=True, conversation_id="new-1", correlation_id="corr-1")


def refused(status, **more):
    """An answer of the platform's own with that status."""
    return Answer(status, from_platform=True, words=f"words of {status}", **more)


def throttled(seconds=3.0, key=None):
    return Answer(429, from_platform=True, retry_after=seconds, limit_key=key)


def state_answer(
    state=State.ENDED, identity="person-1", target=GUEST, *, proactive=True, engaged=False
):
    """A state check that succeeded."""
    conversation = Conversation("conversation-1", state, identity, target, proactive, engaged)
    return Answer(200, from_platform=True, conversation=conversation)


OPEN, ENDED, NOT_ENDED = (
    state_answer(State.OPEN),
    state_answer(State.ENDED),
    state_answer(State.CLOSED),
)
UNKNOWN, RESUMABLE = state_answer(State.UNKNOWN), state_answer(State.RESUMABLE)
ENGAGED = state_answer(State.OPEN, engaged=True)
GOOD = {Step.CHECK: ENDED, Step.NOTIFY: TAKEN, Step.OPEN: OPENED}


@dataclass
class Request:
    step: Step
    conversation_id: str | None
    at: float
    decision: object = None
    token: int = 0
    result: object = None
    takes_effect: bool = False
    """Set by a script whose answer gets lost although the message was taken."""
    lands_in: str | None = None
    """Set by a script whose message ends in another conversation than the answer names."""


class ScriptedPlatform:
    """Returns ``answer(request)`` after ``latency`` seconds.

    An exception among the answers means that the token has expired, and is raised by its
    renewal. ``missing`` is what `verify` finds missing, or the exception that it raises. A
    renewal takes ``renewal`` seconds; the tokens are only numbers. Messages that were taken are
    in its ``archive``, which answers the look backs unless ``look_answer`` is set; the answer to
    more than ``most_queries`` queries has no conversations. ``watermark`` returns the newest record
    and the statement for a query for them.
    """

    def __init__(self, answer=None, latency=0.05):
        self.answer = answer or (lambda request: GOOD[request.step])
        self.latency = latency
        self.requests: list[Request] = []
        self.missing = ()
        self.verified: list[float] = []
        self.token, self.issued = 1, 0.0
        self.on_wire = lambda _: None
        self.archive = Archive()
        self.look_answer = None
        self.most_queries = MAX_LOOK_BACK_IDS
        self.watermark = lambda _query: (None, None)
        self.watermark_queries = []
        self.expired = False
        """Set by a script whose token dies; a renewal, which takes ``renewal``, ends it."""
        self.renewal = 0.0
        self._failed: Exception | None = None
        self.most_at_once = self._at_once = 0

    async def check(self, conversation_id):
        self._alive()
        reply = await self._request(Step.CHECK, conversation_id, None)
        return replace(reply, result=_own(reply.result, conversation_id))

    async def check_many(self, ids):
        self._alive()
        assert 0 < len(ids) <= MAX_STATES_PER_CALL
        return await self._request(Step.CHECK_MANY, tuple(ids), None)

    async def notify(self, contact, decision):
        self._alive()
        return await self._send(Step.NOTIFY, contact, decision)

    async def open(self, contact, decision):
        self._alive()
        return await self._send(Step.OPEN, contact, decision)

    async def look_back(self, queries, watermark=None):
        self._alive()
        assert 0 < len(queries) <= MAX_LOOK_BACK_IDS
        conversations = tuple(dict.fromkeys(q.conversation_id for q in queries if not q.continued))
        previous = tuple(dict.fromkeys(q.conversation_id for q in queries if q.continued))
        people = {query.external_contact_id for query in queries} - {None}
        answer = self.look_answer or self.archive.show(
            conversations, previous, self._wall(), people
        )
        if len(queries) > self.most_queries:
            answer = Answer(200, from_platform=True)
        if watermark is not None:
            self.watermark_queries.append(watermark)
            newest, stated = self.watermark(watermark)
            answer = replace(answer, newest_record=newest, complete_until=stated)
        request = Request(Step.LOOK_BACK, None, self._now(), (conversations, previous), self.token)
        return await self._end(request, answer)

    async def renew(self, number):
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        if self.expired:
            await asyncio.sleep(self.renewal)
            self.expired = False
        if self.token <= number:
            return await self.verify()
        return self._grants(())

    async def verify(self):
        self.verified.append(self._now())
        missing = self.missing() if callable(self.missing) else self.missing
        if isinstance(missing, Exception):
            raise missing
        self.token, self.issued = self.token + 1, self._now()
        await asyncio.sleep(0)
        return self._grants(missing)

    def steps(self, since=0.0):
        return [request.step for request in self.requests if request.at >= since]

    def _alive(self):
        if self.expired:
            raise TokenExpiredError(self.token)

    async def _request(self, step, conversation_id, decision):
        request = Request(step, conversation_id, self._now(), decision, self.token)
        return await self._end(request, self.answer(request))

    async def _send(self, step, contact, decision):
        request = Request(step, contact.conversation_id, self._now(), decision, self.token)
        result = self.answer(request)
        taken = isinstance(result, Answer) and result.status // 100 == 2
        if taken or request.takes_effect:
            self._take(request, contact, decision, result)
        return await self._end(request, result)

    def _take(self, request, contact, decision, result):
        """Let a message take effect; what was not answered has ids of its own."""
        step = request.step
        answer = result if isinstance(result, Answer) else Answer(0)
        previous = None if step is Step.NOTIFY else decision.previous
        identity = _person(contact.conversation_id) if step is Step.NOTIFY else (
            decision.external_contact_id
        )  # fmt: skip
        into = contact.conversation_id if step is Step.NOTIFY else answer.conversation_id
        into = request.lands_in or into
        self.archive.add(
            into, contact.text, self._wall(), previous=previous, identity=identity,
            name=answer.message_id,
        )  # fmt: skip

    async def _end(self, request, result):
        request.result = result
        if isinstance(result, Exception):
            self._failed = result
            raise TokenExpiredError(self.token)
        token = TokenLease(self.token, self._now() - self.issued)
        self.requests.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.on_wire(request)
            await asyncio.sleep(self.latency)
            self.on_wire(request)
        finally:
            self._at_once -= 1
        return Reply(result, self.latency, token)

    def _grants(self, missing):
        grants = (
            name
            if isinstance(name, MissingGrant)
            else MissingGrant(GrantKind.SCOPE, name, "the admin pages")
            for name in missing
        )
        return TokenGrants(self.token, ("write",), tuple(grants))

    def _wall(self):
        return START + self._now()

    def _now(self):
        return asyncio.get_running_loop().time()


def in_turn(*script):
    """Return the results of the script in order; fail on a request that is not the next one."""
    left = list(script)

    def answer(request):
        assert left, f"a request too many: {request}"
        step, result = left.pop(0)
        assert request.step is step
        return result

    answer.left = left
    return answer


class Permit:
    def __init__(self, pacer, step):
        self.step, self.end, self._pacer = step, None, pacer

    def complete(self, reading):
        self._finish("answered")

    def release(self):
        self._finish("unused")

    def issued_by(self, pacer):
        return self._pacer is pacer

    def _finish(self, end):
        assert self.end is None, "a permit is used once"
        self.end = end


TIMER_SECONDS = 1e-6
"""So much earlier than its time a timer may come."""


class OpenPacer:
    """Permits at once, unless the step is held; ``shut`` keeps all callers in the queue."""

    rate, quota = 100.0, QuotaUse(limit=6000.0, own=3000.0)

    def __init__(self):
        self.permits: list[Permit] = []
        self.shut = False
        self.waiting: list[asyncio.Future] = []
        self._until = {}

    def try_acquire(self, step):
        return None if self.shut or self.hold_remaining(step) > 0 else self._grant(step)

    async def acquire(self, step):
        while self.shut or self.hold_remaining(step) > 0:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self.waiting.append(future)
            if not self.shut:
                loop.call_later(self.hold_remaining(step), _wake, future, True)
            go_on = await future
            self.waiting.remove(future)
            if not go_on:
                return None
        return self._grant(step)

    def _grant(self, step):
        permit = Permit(self, step)
        self.permits.append(permit)
        return permit

    def hold(self, step, seconds):
        until = asyncio.get_running_loop().time() + seconds
        self._until[step] = max(until, self._until.get(step, 0.0))

    def hold_remaining(self, step):
        until = max(self._until.get(step, 0.0), self._until.get(None, 0.0))
        remaining = until - asyncio.get_running_loop().time()
        return remaining if remaining > TIMER_SECONDS else 0.0

    def endpoint_hold_remaining(self, step):
        return max(0.0, self._until.get(step, 0.0) - asyncio.get_running_loop().time())

    def cancel_waiters(self, *, checks_only):
        for future in self.waiting:
            _wake(future, False)

    def let_in(self):
        self.shut = False
        for future in self.waiting:
            _wake(future, True)


def _own(result, conversation_id):
    """Give each conversation a person of its own, unless the script names one."""
    state = getattr(result, "conversation", None)
    if state is None or state.external_contact_id != "person-1":
        return result
    identity = _person(conversation_id)
    return replace(result, conversation=replace(state, external_contact_id=identity))


def _person(conversation_id):
    return conversation_id.replace("conversation", "person")


def _wake(future, result):
    if not future.done():
        future.set_result(result)


class EventList(list):
    """A sink that keeps the events."""

    def emit(self, event):
        self.append(event)

    def of_type(self, *kinds):
        return [event for event in self if isinstance(event, kinds)]


class ListSource:
    """Yields batches, each after a while; an exception among them is raised."""

    def __init__(self, *batches, seconds=0.0):
        self.items, self.seconds = batches, seconds
        self.known = None
        self.yielded = 0
        self.closed = False
        self.watched, self.waits_for, self.lag = False, "", None

    async def batches(self, known):
        self.known = known
        try:
            for batch in self.items:
                await asyncio.sleep(self.seconds)
                if isinstance(batch, Exception):
                    raise batch
                self.yielded += 1
                yield batch
        finally:
            self.closed = True
