"""The `genesys` dialect: the public Genesys Cloud API."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.status import Step
from dispatcher.platforms.api_client import ApiClient, BackgroundClient, OnOddValue, ParseResponse
from dispatcher.platforms.genesys.analytics_states import details_target, read_states
from dispatcher.platforms.genesys.lineage import LineageWriter, OnLineageLost
from dispatcher.platforms.genesys.look_back import GenesysLookBack
from dispatcher.platforms.genesys.requests import (
    AGENTLESS_PATH,
    DEPLOYMENTS_PATH,
    MESSAGES_PATH,
    Lineage,
    Sender,
    agentless,
)
from dispatcher.platforms.genesys.responses import parse_failure, read_check, read_sent
from dispatcher.platforms.genesys.threading_timeline import ThreadingTimeline
from dispatcher.platforms.genesys.watermark import OnNoEvidence
from dispatcher.platforms.http import HttpClient, HttpResponse
from dispatcher.platforms.response_parsing import path_part
from dispatcher.platforms.token import TokenManager
from dispatcher.ports import (
    BackgroundPacer,
    Clock,
    LookBackQuery,
    Reply,
    TokenGrants,
    WatermarkQuery,
)


@dataclass(frozen=True, slots=True)
class GenesysOptions:
    """The API's URL, the sender, and how lineage is written to the platform.

    ``lost`` is called with a conversation whose lineage was not written, and the reason.
    ``pacer`` permits the requests that the adapter makes beside those of the engine.
    ``on_odd_value`` is called with a header that cannot be used, ``on_no_evidence`` with a path
    that the platform refuses and that only serves as evidence, and the reason.
    """

    base_url: str
    sender: Sender
    lineage: Lineage
    lost: OnLineageLost
    pacer: BackgroundPacer
    on_odd_value: OnOddValue = lambda _name, _value: None
    on_no_evidence: OnNoEvidence = lambda _path, _why: None


class GenesysPlatform:
    """The platform in its `genesys` dialect. `close` it before its tokens and connections."""

    def __init__(
        self, http: HttpClient, tokens: TokenManager, options: GenesysOptions, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._sender = options.sender
        self._api = ApiClient(http, tokens, options.base_url, clock, options.on_odd_value)
        background = BackgroundClient(self._api, options.pacer)
        self._timeline = ThreadingTimeline(background, clock)
        self._look_back = GenesysLookBack(
            self._api, background, options.sender.from_address, clock, options.on_no_evidence
        )
        self._lineage = LineageWriter(background, options.lineage, options.lost)

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check`."""

        def parse(response: HttpResponse) -> Answer:
            windows, now = self._timeline.windows, self._api.now()
            return read_check(response, conversation_id, self._sender, windows, now)

        return self._read(f"{MESSAGES_PATH}/{path_part(conversation_id)}", parse)

    async def check_sender(self) -> Reply | None:
        """Read the messenger deployment that messages are sent from.

        None if the sender is no deployment: it is one for web messaging alone.
        """
        if self._sender.messenger != "webmessaging":
            return None

        def parse(response: HttpResponse) -> Answer:
            if response.success_body is None:
                return parse_failure(response)
            return Answer(response.status, from_platform=True)

        return await self._read(f"{DEPLOYMENTS_PATH}/{path_part(self._sender.from_address)}", parse)

    def check_many(self, conversation_ids: Sequence[str]) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check_many`."""

        def parse(response: HttpResponse) -> Answer:
            return read_states(response, self._sender, self._timeline.windows, self._api.now())

        return self._read(details_target(conversation_ids), parse)

    async def notify(self, contact: Contact, decision: Notify) -> Reply:
        """See `dispatcher.ports.Platform.notify`.

        The request names no conversation: the platform uses the person's open one. If none is
        open any more, it makes or resumes one; the response has its id.
        """
        person = decision.external_contact_id or contact.external_contact_id
        return await self._send(
            Step.NOTIFY, contact, person, decision.target, decision.conversation_id
        )

    async def open(self, contact: Contact, decision: Open) -> Reply:
        """See `dispatcher.ports.Platform.open`. The request has no subject and no link."""
        person = decision.external_contact_id
        return await self._send(Step.OPEN, contact, person, decision.target, decision.previous)

    def look_back(
        self, queries: Sequence[LookBackQuery], watermark: WatermarkQuery | None = None
    ) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.look_back`."""
        return self._look_back.look_back(queries, watermark)

    async def renew(self, number: int) -> TokenGrants:
        """See `dispatcher.ports.Platform.renew`; the first call reads the timeline, too."""
        grants = await self._tokens.renew(number)
        await self._timeline.first()
        return grants

    async def verify(self) -> TokenGrants:
        """See `dispatcher.ports.Platform.verify`."""
        return await self._tokens.verify()

    async def close(self) -> None:
        """Write the lineage that is still queued, and end all background work."""
        await self._lineage.close()
        await self._timeline.close()

    async def _read(self, target: str, parse: ParseResponse) -> Reply:
        reply = await self._api.call("GET", target, None, parse)
        self._timeline.keep()
        return reply

    async def _send(
        self, step: Step, contact: Contact, person: str | None, target: Target | None,
        previous: str | None,
    ) -> Reply:  # fmt: skip
        address = contact.address
        if target is not None and not target.is_guest_id:
            address = target.value
        existing = step is Step.NOTIFY
        body = agentless(self._sender, contact.text, person, address, existing=existing)
        parse = partial(read_sent, step)
        reply = await self._api.call("POST", AGENTLESS_PATH, orjson.dumps(body), parse, sends=True)
        if isinstance(reply.result, Answer):
            self._lineage.note(previous, reply.result.conversation_id)
        return reply
