"""The traces of one campaign: which contacts have a span now, and what is put around its ports."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry.trace import SpanContext, Tracer

from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import Progress
from dispatcher.ports import Claim, Deliver, EventSink, InDoubtContact, Ledger
from dispatcher.telemetry.traces.contact_trace import Attributes, ContactTrace, below
from dispatcher.telemetry.traces.ledger import TracedLedger
from dispatcher.telemetry.traces.sampling import is_sampled
from dispatcher.telemetry.traces.sinks import TracedLog, TraceSink

CONTACT, RECONCILE = "contact", "reconcile"
"""Names of the spans of a contact with a worker, and of one whose doubt is resolved."""
MOST_DOUBTS = 10_000
"""Contacts in doubt whose spans are remembered; later ones begin a trace of their own."""

CURRENT: ContextVar[ContactTrace | None] = ContextVar("contact_trace", default=None)
"""The trace of the contact that the running task delivers; None if it is not traced."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A contact in doubt; ``parent`` is the span of its send, if this run made it."""

    contact: Contact
    progress: Progress
    parent: SpanContext | None


class CampaignTraces:
    """Begins, finds and ends the spans of one campaign's contacts."""

    def __init__(self, tracer: Tracer, campaign: str, share: float) -> None:
        self.name = campaign
        self._tracer = tracer
        self._share = share
        self._by_id: dict[int, ContactTrace] = {}
        self._by_key: dict[str, ContactTrace] = {}
        self._doubts: dict[int, _Doubt] = {}
        self._due: dict[str, list[int]] = {}

    # what is put around the ports

    def wrap_delivery(self, deliver: Deliver) -> Deliver:
        """Return ``deliver`` with a span around each sampled contact."""

        def traced(claim: Claim) -> Awaitable[None]:
            if not is_sampled(self.name, claim.contact.key, self._share):
                return deliver(claim)
            return self._deliver(deliver, claim)

        return traced

    def wrap_ledger(self, ledger: Ledger) -> Ledger:
        """Return the ledger with a span for each write about a sampled contact."""
        return TracedLedger(ledger, self)

    def sinks(self) -> tuple[EventSink, EventSink]:
        """Return the sinks that complete the spans, and that write the log."""
        return TraceSink(self.find_key), TracedLog(self.name, self.find_key)

    # finding

    def find(self, contact_id: int) -> ContactTrace | None:
        """Return the trace of a contact by the ledger's number; None if it has none now."""
        return self._by_id.get(contact_id)

    def find_key(self, contact_key: str) -> ContactTrace | None:
        """Return the trace of a contact by its key; None if it has none now."""
        return self._by_key.get(contact_key)

    def waiting_for(self, conversation_ids: Sequence[str]) -> list[ContactTrace]:
        """Return the traces of contacts that wait for the states of these conversations.

        They are with a worker and do nothing else. (One of two contacts of the same conversation
        that waits for its permit is counted with them.)
        """
        wanted = set(conversation_ids)
        return [
            trace
            for trace in self._by_id.values()
            if trace.contact.conversation_id in wanted
            and trace.is_in_worker
            and not trace.open_steps
        ]

    # contacts in doubt

    def remember_doubt(self, trace: ContactTrace, progress: Progress) -> None:
        """Remember the span of a send in doubt, to which the look backs belong."""
        self._remember(trace.id, _Doubt(trace.contact, progress, trace.context))

    def note_due(self, due: Sequence[InDoubtContact]) -> None:
        """Note for which contacts the next look back may be."""
        self._due.clear()
        for one in due:
            if not is_sampled(self.name, one.contact.key, self._share):
                continue
            known = self._doubts.get(one.id)
            parent = known.parent if known is not None else None
            self._remember(one.id, _Doubt(one.contact, one.progress, parent))
            if one.send.conversation_id is not None:
                self._due.setdefault(one.send.conversation_id, []).append(one.id)

    def looked_for(self, conversation_ids: Sequence[str]) -> list[ContactTrace]:
        """Return the traces of the contacts that a look back for these conversations is for."""
        ids = [id_ for one in dict.fromkeys(conversation_ids) for id_ in self._due.get(one, ())]
        traces = [self.resume(id_) for id_ in ids]
        return [trace for trace in traces if trace is not None]

    def resume(self, contact_id: int) -> ContactTrace | None:
        """Return the trace of a contact with a worker, or of one in doubt that is resolved now."""
        trace, doubt = self._by_id.get(contact_id), self._doubts.get(contact_id)
        if trace is not None or doubt is None:
            return trace
        return self._begin(RECONCILE, contact_id, doubt.contact, doubt.progress, doubt.parent)

    def forget_doubt(self, contact_id: int) -> None:
        """Forget a contact that is in doubt no more."""
        self._doubts.pop(contact_id, None)

    def _remember(self, contact_id: int, doubt: _Doubt) -> None:
        self._doubts[contact_id] = doubt
        if len(self._doubts) > MOST_DOUBTS:
            del self._doubts[next(iter(self._doubts))]

    # beginning and ending

    def leave(self, trace: ContactTrace, attributes: Attributes, *, failed: bool = False) -> None:
        """Note how a contact leaves; its span ends as soon as what belongs to it was emitted.

        The ledger's caller emits the events of a write before it awaits anything else.
        """
        trace.leave(attributes, failed=failed)
        if not trace.is_in_worker:
            asyncio.get_running_loop().call_soon(self._end, trace)

    def close(self) -> None:
        """End the spans of contacts that have not left."""
        for trace in list(self._by_id.values()):
            trace.span.set_attribute("dispatcher.status", "unfinished")
            self._end(trace)

    async def _deliver(self, deliver: Deliver, claim: Claim) -> None:
        trace = self._begin(CONTACT, claim.id, claim.contact, claim.progress)
        token = CURRENT.set(trace)
        try:
            await deliver(claim)
        except BaseException as error:
            trace.fail(error)
            self._end(trace)
            raise
        finally:
            CURRENT.reset(token)
            trace.is_in_worker = False
        if trace.left_at is not None:
            self._end(trace)
        else:  # its refusal is not final yet: the campaign waits for more answers
            trace.span.add_event("refusal.held")

    def _begin(
        self, name: str, contact_id: int, contact: Contact, progress: Progress,
        parent: SpanContext | None = None,
    ) -> ContactTrace:  # fmt: skip
        attributes: Attributes = {
            "dispatcher.campaign": self.name,
            "dispatcher.contact_key": contact.key,
            "dispatcher.previous_conversation_id": contact.conversation_id,
            "dispatcher.attempt": progress.attempts + 1,
            "dispatcher.sends_before": progress.sends,
        }
        span = self._tracer.start_span(name, context=below(parent), attributes=attributes)
        trace = ContactTrace(self._tracer, span, contact_id, contact, is_in_worker=name == CONTACT)
        self._by_id[contact_id] = self._by_key[contact.key] = trace
        return trace

    def _end(self, trace: ContactTrace) -> None:
        trace.end()
        if self._by_id.get(trace.id) is trace:
            del self._by_id[trace.id]
        if self._by_key.get(trace.contact.key) is trace:
            del self._by_key[trace.contact.key]
