"""The traces of a run, by OpenTelemetry's SDK and its OTLP exporter."""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from dispatcher.ports import Platform
from dispatcher.telemetry.traces.campaign import CURRENT, CampaignTraces
from dispatcher.telemetry.traces.contact_trace import ContactTrace
from dispatcher.telemetry.traces.platform import TracedPlatform

MOST_CHARACTERS = 256
"""Characters of one attribute; more are cut off."""


class RunTraces:
    """Traces ``share`` (0 to 1) of the contacts of a run.

    ``resource`` are the attributes of every span. ``processor`` takes the spans.
    """

    def __init__(self, processor: SpanProcessor, resource: Mapping[str, str], share: float) -> None:
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # whether a contact is sampled is known before its first span
            resource=Resource.create(resource),
            span_limits=SpanLimits(max_attribute_length=MOST_CHARACTERS),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(processor)
        self._processor = processor
        self._tracer = provider.get_tracer("dispatcher")
        self._share = share
        self._campaigns: dict[str, CampaignTraces] = {}

    def campaign(self, name: str) -> CampaignTraces:
        """Return the traces of one campaign."""
        return self._campaigns.setdefault(name, CampaignTraces(self._tracer, name, self._share))

    def wrap_platform(self, platform: Platform, client: str) -> Platform:
        """Return the platform of one client with a span for each request about contacts."""
        return TracedPlatform(
            platform, client, self._tracer,
            current=CURRENT.get, waiting_for=self._waiting_for, looked_for=self._looked_for,
        )  # fmt: skip

    def close(self) -> None:
        """Deliver what is left, as long as the processor permits; later spans are dropped."""
        for campaign in self._campaigns.values():
            campaign.close()
        self._processor.shutdown()

    def _waiting_for(self, conversation_ids: Sequence[str]) -> list[ContactTrace]:
        campaigns = self._campaigns.values()
        return [trace for one in campaigns for trace in one.waiting_for(conversation_ids)]

    def _looked_for(self, conversation_ids: Sequence[str]) -> list[ContactTrace]:
        campaigns = self._campaigns.values()
        return [trace for one in campaigns for trace in one.looked_for(conversation_ids)]
