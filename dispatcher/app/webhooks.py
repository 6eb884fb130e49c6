"""The webhooks of a run: which get a notice of what."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from dispatcher.app.secret_files import read_password
from dispatcher.app.sinks import end_sink
from dispatcher.domain.events import Halted, Resumed
from dispatcher.ports import EventSink
from dispatcher.ports.notices import Facts, Notice, NoticeLog
from dispatcher.settings import Settings
from dispatcher.settings.sinks import WebhookSettings
from dispatcher.sinks.webhook import Webhook
from dispatcher.telemetry.fanout import HandlerSink

KILLED: Facts = {"outcome": "killed"}
"""The end of a run that could not report it; the next run does."""


class Webhooks:
    """The webhooks of the settings; each gets the notices of its campaigns.

    Raises:
        CredentialsError: the file of a password cannot be read.
        SourceError: the variable of a password is not set.

    """

    def __init__(self, settings: Settings) -> None:
        self.by_name: dict[str, Webhook] = {}
        """Those that have been started."""
        self._settings = [
            (sink, read_password(f"sink {sink.name}", sink, settings.environment))
            for sink in settings.sinks
            if isinstance(sink, WebhookSettings)
        ]
        self._names = [campaign.name for campaign in settings.campaigns]
        self._ends: dict[str, dict[str, Notice]] = {}

    async def start(self, log: NoticeLog, stack: AsyncExitStack) -> None:
        """Start them; they end with ``stack``. What an earlier run has not posted goes out first.

        Raises:
            LedgerError: the log has failed.

        """
        for sink, secret in self._settings:
            webhook = Webhook(sink.name, sink.url, secret, log)
            names = [name for name in self._names if name in (sink.campaigns or self._names)]
            end_notices = {name: Notice("ended", name, KILLED) for name in names}
            await webhook.start(list(end_notices.values()))
            stack.push_async_callback(partial(end_sink, webhook))
            self.by_name[sink.name], self._ends[sink.name] = webhook, end_notices

    def listeners(self, campaign: str) -> Sequence[EventSink]:
        """Return the sink for the halts of a campaign, or of the whole run if it is empty."""
        return (_Halts(self, campaign),) if self._settings else ()

    def add(self, event: str, campaign: str, facts: Facts) -> None:
        """Post a notice to each webhook of the campaign; an empty one concerns all."""
        notice = Notice(event, campaign, facts)
        for name, webhook in self.by_name.items():
            if not campaign or campaign in self._ends[name]:
                webhook.add(notice)

    async def end_runs(self, facts: Mapping[str, Facts]) -> None:
        """Post how the run of each campaign ended. The log has it when this returns."""
        now = time.time()
        for name, webhook in self.by_name.items():
            end_notices = self._ends[name].items()
            notices = [replace(end, facts=facts[name], at=now) for name, end in end_notices]
            await asyncio.gather(*map(webhook.add, notices))


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
