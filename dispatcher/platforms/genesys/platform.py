"""The `genesys` dialect: the public Genesys Cloud API, turned into the domain's answers."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.status import Step
from dispatcher.platforms.api_client import ApiClient, BackgroundClient
from dispatcher.platforms.genesys.analytics_states import details, read_records
from dispatcher.platforms.genesys.lineage import LineageWriter, OnLineageLost
from dispatcher.platforms.genesys.look_back import GenesysLookBack
from dispatcher.platforms.genesys.requests import (
    AGENTLESS_PATH,
    MESSAGES_PATH,
    Lineage,
    Sender,
    agentless,
)
from dispatcher.platforms.genesys.responses import read_check, read_sent
from dispatcher.platforms.genesys.threading_timeline import ThreadingTimeline
from dispatcher.platforms.http import HttpClient, HttpResponse
from dispatcher.platforms.response_parsing import path_part
from dispatcher.platforms.token import TokenManager
from dispatcher.ports import BackgroundPacer, Clock, LookBackQuery, Reply, TokenGrants


@dataclass(frozen=True, slots=True)
class GenesysOptions:
    """Where the API is, who writes, and what is written down there about it.

    ``lost`` is called with a conversation whose lineage was not written, and the reason.
    ``pacer`` permits the requests that the engine does not know of.
    """

    base_url: str
    sender: Sender
    lineage: Lineage
    lost: OnLineageLost
    pacer: BackgroundPacer


class GenesysPlatform:
    """The platform in its `genesys` dialect. `close` it before its tokens and connections."""

    def __init__(
        self, http: HttpClient, tokens: TokenManager, options: GenesysOptions, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._sender = options.sender
        self._caller = ApiClient(http, tokens, options.base_url, clock)
        background = BackgroundClient(self._caller, options.pacer)
        self._timeline = ThreadingTimeline(background, clock)
        self._look_back = GenesysLookBack(
            self._caller, background, options.sender.from_address, clock
        )
        self._lineage = LineageWriter(background, options.lineage, options.lost)

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.check`."""
        target = f"{MESSAGES_PATH}/{path_part(conversation_id)}"
        return self._check(target, conversation_id)

    async def check_many(self, conversation_ids: Sequence[str]) -> Reply:
        """See `dispatcher.ports.Platform.check_many`."""

        def read(exchange: HttpResponse) -> Answer:
            windows, now = self._timeline.windows, self._caller.now()
            return read_records(exchange, self._sender, windows, now)

        reply = await self._caller.call("GET", details(conversation_ids), None, read)
        self._timeline.keep()
        return reply

    async def notify(self, contact: Contact, decision: Notify) -> Reply:
        """See `dispatcher.ports.Platform.notify`.

        The platform picks the person's open conversation itself: none is named to it. If there
        is none any more it makes one, or resumes one; the answer names it.
        """
        person = decision.external_contact_id or contact.external_contact_id
        address = _address(contact, decision.target)
        previous = decision.conversation_id
        return await self._send(Step.NOTIFY, contact, person, address, previous)

    async def open(self, contact: Contact, decision: Open) -> Reply:
        """See `dispatcher.ports.Platform.open`. There is no subject, and no link to name."""
        address = _address(contact, decision.target)
        person = decision.external_contact_id
        return await self._send(Step.OPEN, contact, person, address, decision.previous)

    def look_back(self, asked: Sequence[LookBackQuery]) -> Awaitable[Reply]:
        """See `dispatcher.ports.Platform.look_back`."""
        return self._look_back.look_back(asked)

    async def renew(self, number: int) -> TokenGrants:
        """See `dispatcher.ports.Platform.renew`; the first time it reads the timeline, too."""
        authority = await self._tokens.renew(number)
        await self._timeline.first()
        return authority

    async def verify(self) -> TokenGrants:
        """See `dispatcher.ports.Platform.verify`."""
        return await self._tokens.verify()

    async def close(self) -> None:
        """Write the lineage that is still waiting, and end what goes on in the background."""
        await self._lineage.close()
        await self._timeline.close()

    async def _check(self, target: str, conversation_id: str) -> Reply:
        def read(exchange: HttpResponse) -> Answer:
            windows, now = self._timeline.windows, self._caller.now()
            return read_check(exchange, conversation_id, self._sender, windows, now)

        reply = await self._caller.call("GET", target, None, read)
        self._timeline.keep()
        return reply

    async def _send(
        self, step: Step, contact: Contact, person: str | None, address: str | None,
        previous: str | None,
    ) -> Reply:  # fmt: skip
        existing = step is Step.NOTIFY
        body = agentless(self._sender, contact.text, person, address, existing=existing)
        read = partial(read_sent, step)
        reply = await self._caller.call("POST", AGENTLESS_PATH, orjson.dumps(body), read)
        if isinstance(reply.result, Answer):
            self._lineage.note(previous, reply.result.conversation_id)
        return reply


def _address(contact: Contact, target: Target | None) -> str | None:
    """Return where the person is reached: as the platform knows them, else as the row does."""
    return target.value if target is not None and not target.is_guest_id else contact.address
