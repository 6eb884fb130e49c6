"""The platform with a span for each request about traced contacts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import time_ns

from opentelemetry.trace import Link, SpanKind, Tracer

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.next_step import SUCCESS
from dispatcher.domain.status import Step
from dispatcher.ports import LookBackQuery, Platform, Reply, TokenExpiredError, WatermarkQuery
from dispatcher.telemetry.traces.contact_trace import (
    Attributes,
    ContactTrace,
    EndedSpan,
    add_span,
)

CurrentTrace = Callable[[], ContactTrace | None]
"""Returns the trace of the contact that the running task delivers."""
FindTraces = Callable[[Sequence[str]], list[ContactTrace]]
"""Returns the traces of the contacts that a request for these conversations is for."""


class TracedPlatform:
    """A platform of one client that adds a span for each request.

    A request that many contacts share has a trace of its own. Below each of the contacts there is
    a span as long as the request, with a link to it. Requests for tokens have no span.
    """

    def __init__(
        self, platform: Platform, client: str, tracer: Tracer, *,
        current: CurrentTrace, waiting_for: FindTraces, looked_for: FindTraces,
    ) -> None:  # fmt: skip
        self._platform = platform
        self._client = client
        self._tracer = tracer
        self._current = current
        self._waiting_for = waiting_for
        self._looked_for = looked_for
        self.renew = platform.renew
        self.verify = platform.verify

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """Read the state of a conversation."""
        return self._one("check", Step.CHECK, self._platform.check(conversation_id))

    def notify(self, contact: Contact, decision: Notify) -> Awaitable[Reply]:
        """Send into an open session."""
        return self._one("send", Step.NOTIFY, self._platform.notify(contact, decision))

    def open(self, contact: Contact, decision: Open) -> Awaitable[Reply]:
        """Open a new conversation."""
        return self._one("send", Step.OPEN, self._platform.open(contact, decision))

    def check_many(self, conversation_ids: Sequence[str]) -> Awaitable[Reply]:
        """Read the states of many conversations."""
        call = self._platform.check_many(conversation_ids)
        traces = self._waiting_for(conversation_ids)
        return self._shared(Step.CHECK_MANY, traces, len(conversation_ids), call)

    def look_back(
        self, queries: Sequence[LookBackQuery], watermark: WatermarkQuery | None = None
    ) -> Awaitable[Reply]:
        """Ask for the messages of contacts in doubt."""
        call = self._platform.look_back(queries, watermark)
        traces = self._looked_for([query.conversation_id for query in queries])
        return self._shared(Step.LOOK_BACK, traces, len(queries), call)

    def _one(self, name: str, step: Step, call: Awaitable[Reply]) -> Awaitable[Reply]:
        trace = self._current()
        return call if trace is None else self._request(trace, name, step, call)

    def _shared(
        self, step: Step, traces: list[ContactTrace], size: int, call: Awaitable[Reply]
    ) -> Awaitable[Reply]:
        return self._request_for_many(step, traces, size, call) if traces else call

    async def _request(
        self, trace: ContactTrace, name: str, step: Step, call: Awaitable[Reply]
    ) -> Reply:
        began = time_ns()
        trace.open_steps += 1
        try:
            reply = await call
        except TokenExpiredError:
            trace.span.add_event("token.expired")  # nothing was sent
            raise
        except BaseException as error:
            fault = type(error).__name__
            trace.add(EndedSpan(name, began, self._attributes(step), SpanKind.CLIENT, error=fault))
            raise
        finally:
            trace.open_steps -= 1
        attributes, refusal = self._answered(step, reply)
        trace.add(EndedSpan(name, began, attributes, SpanKind.CLIENT, error=refusal))
        return reply

    async def _request_for_many(
        self, step: Step, traces: list[ContactTrace], size: int, call: Awaitable[Reply]
    ) -> Reply:
        began = time_ns()
        for trace in traces:
            trace.open_steps += 1
        try:
            reply = await call
        finally:
            for trace in traces:
                trace.open_steps -= 1
        attributes, error = self._answered(step, reply)
        attributes = {**attributes, "dispatcher.batch_size": size}
        ended = EndedSpan(step.value, began, attributes, error=error)
        links = [Link(trace.context) for trace in traces]
        request = add_span(self._tracer, replace(ended, kind=SpanKind.CLIENT, links=links))
        for trace in traces:
            trace.add(replace(ended, links=[Link(request)]))
        return reply

    def _attributes(self, step: Step) -> Attributes:
        client = {"dispatcher.client": self._client} if self._client else {}
        return {"dispatcher.endpoint": step.value, **client}

    def _answered(self, step: Step, reply: Reply) -> tuple[Attributes, str]:
        """Return what an answer adds to its span, and the type of its error; no words of it."""
        attributes, result = dict(self._attributes(step)), reply.result
        if not isinstance(result, Answer):
            return attributes, result.cause.value
        attributes["http.response.status_code"] = result.status
        if result.correlation_id:
            attributes["dispatcher.correlation_id"] = result.correlation_id
        if result.conversation is not None:
            attributes["dispatcher.session_state"] = result.conversation.state.value
        failed = result.status // 100 != SUCCESS
        return attributes, str(result.status) if failed else ""
