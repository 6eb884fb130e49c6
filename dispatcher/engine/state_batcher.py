"""Many states in one request: contacts that wait for their first state check share it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import BargeIn, DecisionPolicy, Finish, Notify, decide
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Step
from dispatcher.engine.clients.pool import ClientPermit, ClientPool
from dispatcher.engine.completion import Completer, InFlight
from dispatcher.engine.refusals import RefusalHandler
from dispatcher.engine.requester import Requester
from dispatcher.ports import Reply

REST_SECONDS = 60.0
"""For so long states are read one by one after a request for many that told none."""
_PASSING = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.THROTTLED})
"""Refusals that are taken care of by themselves: the next request for many can do."""


class _Waiter:
    """A contact's place in the group that forms; None in ``told``: read it alone."""

    __slots__ = ("at", "led", "told", "work")

    def __init__(self, work: InFlight) -> None:
        self.work = work
        self.led: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done with True when it is to lead the next group, with False when it was served."""
        self.told: Conversation | None = None
        self.at = 0.0
        """When it was told (monotonic seconds)."""

    def serve(self, told: Conversation | None, at: float) -> None:
        """Let it go on with what was told of its conversation."""
        self.told, self.at = told, at
        if not self.led.done():
            self.led.set_result(False)


class StateBatcher:
    """Reads the states of up to ``most`` contacts in one request, as the platform records them.

    The first who waits leads: it gets the permit, and takes those along that wait by then. What
    such a request tells may be old, so it decides little: whoever was looked at before, is to be
    sent into a session that only its customer may be in, or would be final without a send is
    read alone. A send that is misled is refused, and then read alone, too.
    """

    def __init__(
        self,
        turnstile: ClientPool,
        exchange: Requester,
        refusals: RefusalHandler,
        desk: Completer,
        most: int,
    ) -> None:
        self._turnstile = turnstile
        self._exchange = exchange
        self._refusals = refusals
        self._desk = desk
        self._most = most
        self._places: deque[_Waiter] = deque()
        self._rests_until = float("-inf")

    async def read_state(self, work: InFlight, rules: DecisionPolicy) -> Conversation | None:
        """Return a state on which a decision may rest.

        None if it is to be read alone, unless the contact has left.
        """
        if work.progress != NEW or work.refused_open is not None or self._rests():
            return None
        place = _Waiter(work)
        await self._share(place)
        seen, now = place.told, self._desk.clock.time()
        if seen is None or not _is_sufficient(work, seen, rules, now):
            return None
        work.record_state(seen, place.at)
        return seen

    def _rests(self) -> bool:
        return self._most <= 1 or self._desk.clock.monotonic() < self._rests_until

    async def _share(self, place: _Waiter) -> None:
        self._places.append(place)
        try:
            if self._places[0] is place or await place.led:
                await self._lead(place)
        finally:
            self._leave(place)

    def _leave(self, place: _Waiter) -> None:
        """Give up a place that was not served; the next one leads if this was to."""
        if place in self._places:
            first = self._places[0] is place
            self._places.remove(place)
            if first:
                self._pass_on()

    def _pass_on(self) -> None:
        if self._places and not self._places[0].led.done():
            self._places[0].led.set_result(True)

    async def _lead(self, place: _Waiter) -> None:
        granted = await self._turnstile.acquire(Step.CHECK_MANY, place.work.id)
        if granted is not None and self._rests():
            granted.permit.release()
            granted = None
        if granted is None:  # or a drain, or a long hold: each finds out for itself
            self._dismiss(self._take(len(self._places)))
            return
        group = self._take(self._most)
        self._pass_on()
        if len(group) == 1:
            granted.permit.release()
            return
        try:
            await self._ask(group, granted)
        finally:
            self._dismiss(group)

    def _take(self, most: int) -> Sequence[_Waiter]:
        """Take the places at the head, the leader's first."""
        return [self._places.popleft() for _ in range(min(most, len(self._places)))]

    def _dismiss(self, group: Sequence[_Waiter]) -> None:
        for place in group:
            if not place.led.done():
                place.led.set_result(False)

    async def _ask(self, group: Sequence[_Waiter], granted: ClientPermit) -> None:
        work = group[0].work
        ids = list(dict.fromkeys(place.work.contact.conversation_id for place in group))
        reply = await self._exchange.read_many(
            work, granted, lambda platform: platform.check_many(ids)
        )
        if reply is None:
            return
        kind = classify(Step.CHECK_MANY, reply.result)
        if kind is AnswerKind.ACCEPTED and isinstance(reply.result, Answer):
            work.client.breaker.record_success(work.id, Step.CHECK_MANY, work.sent_at)
            self._hand_out(group, reply.result, kind)
        else:
            self._dismiss(group)
            await self._failed(work, kind, reply)

    def _hand_out(self, group: Sequence[_Waiter], answer: Answer, kind: AnswerKind) -> None:
        told = {each.id: each for each in answer.conversations or ()}
        leader, now = group[0].work, self._desk.clock.monotonic()
        for place in group:
            work, seen = place.work, told.get(place.work.contact.conversation_id)
            work.client, work.sent_at = leader.client, leader.sent_at
            work.record_request(Step.CHECK_MANY, replace(answer, conversation=seen), kind)
            place.serve(seen, now)

    async def _failed(self, work: InFlight, kind: AnswerKind, reply: Reply) -> None:
        work.record_request(Step.CHECK_MANY, reply.result, kind)
        work.token = reply.token
        if kind not in _PASSING:
            self._rests_until = self._desk.clock.monotonic() + REST_SECONDS
        if isinstance(reply.result, Answer):
            await self._refusals.handle(work, Step.CHECK_MANY, kind, reply.result)


def _is_sufficient(work: InFlight, seen: Conversation, rules: DecisionPolicy, now: float) -> bool:
    """Tell whether what may be old is enough for what would be decided by it."""
    if seen.state is State.UNKNOWN:
        return False
    match decide(work.contact, seen, work.progress, rules, now):
        case Finish():
            return False
        case Notify():
            return rules.barge_in is not BargeIn.CUSTOMER_ONLY
        case _:
            return True
