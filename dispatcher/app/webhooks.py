"""The webhooks of a run: which get a notice of what."""

from collections.abc import Mapping, Sequence

from dispatcher.app.secret_files import read_password
from dispatcher.domain.events import Halted, Resumed
from dispatcher.ports import EventSink
from dispatcher.settings import Settings
from dispatcher.settings.sinks import WebhookSettings
from dispatcher.sinks.webhook import Notice, Webhook
from dispatcher.telemetry.fanout import HandlerSink


class Webhooks:
    """The webhooks of the settings; each gets the notices of its campaigns.

    Raises:
        CredentialsError: the file of a password cannot be read.
        SourceError: the variable of a password is not set.

    """

    def __init__(self, settings: Settings) -> None:
        self.by_name: dict[str, Webhook] = {}
        self._campaigns: dict[str, Sequence[str]] = {}
        for sink in settings.sinks:
            if isinstance(sink, WebhookSettings):
                secret = read_password(f"sink {sink.name}", sink, settings.environment)
                self.by_name[sink.name] = Webhook(sink.name, sink.url, secret)
                self._campaigns[sink.name] = sink.campaigns

    def listeners(self, campaign: str) -> Sequence[EventSink]:
        """Return the sink for the halts of a campaign, or of the whole run if it is empty."""
        return (_Halts(self, campaign),) if self.by_name else ()

    def add(self, event: str, campaign: str, facts: Mapping[str, str | int | float]) -> None:
        """Post a notice to each webhook of the campaign; an empty one concerns all."""
        notice = Notice(event, campaign, facts)
        for name, webhook in self.by_name.items():
            if not campaign or not self._campaigns[name] or campaign in self._campaigns[name]:
                webhook.add(notice)


class _Halts(HandlerSink):
    def __init__(self, webhooks: Webhooks, campaign: str) -> None:
        self._webhooks, self._campaign = webhooks, campaign
        self.handlers = {Halted: self._halted, Resumed: self._resumed}

    def _halted(self, event: Halted) -> None:
        facts = {"reason": event.reason.value, "detail": event.detail, "client": event.client}
        self._webhooks.add("halted", self._campaign, facts)

    def _resumed(self, event: Resumed) -> None:
        seconds = round(event.seconds, 1)
        facts = {"reason": event.reason.value, "seconds": seconds, "client": event.client}
        self._webhooks.add("resumed", self._campaign, facts)
