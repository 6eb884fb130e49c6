"""Looks up what a run rests on: the sender, and the first conversations of each source."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from dispatcher.app.authorization_report import OnlineFinding
from dispatcher.app.source_inventory import count_source
from dispatcher.app.sources import make_source
from dispatcher.domain.answer import Answer
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.platforms.genesys.platform import GenesysPlatform
from dispatcher.ports import Platform, SourceError, TokenExpiredError
from dispatcher.settings import Settings

SAMPLE = 10
"""The conversations of a source that are looked up."""
_STANDARD_INPUT = "-"


async def look_up(settings: Settings, platform: Platform) -> list[OnlineFinding]:
    """Return what the platform knows of the sender and of each campaign's conversations."""
    try:
        findings = await _look_up_sender(settings, platform)
        for campaign in settings.campaigns:
            findings += await _look_up_source(settings.only(campaign), platform)
    except TokenExpiredError:
        detail = "the token expired as soon as it was issued"
        return [OnlineFinding("lookups", detail, ok=False)]
    return findings


async def _look_up_sender(settings: Settings, platform: Platform) -> list[OnlineFinding]:
    reply = await platform.check_sender() if isinstance(platform, GenesysPlatform) else None
    if reply is None:
        return []
    answer, sender = reply.result, settings.platform.from_address
    status = answer.status if isinstance(answer, Answer) else None
    match status:
        case 200:
            return [OnlineFinding("sender", f"deployment {sender} exists", ok=True)]
        case 404:
            detail = (
                f"this organisation has no deployment {sender}: every message would be refused; "
                "correct platform.from_address, or use an OAuth client of the organisation that "
                "has it"
            )
            return [OnlineFinding("sender", detail, ok=False)]
        case 403:
            detail = (
                "not looked up: the client lacks the permission webDeployments:deployment:view, "
                "which is needed only for this look-up"
            )
        case _:
            detail = f"not looked up: the platform answered {status or 'nothing'}"
    return [OnlineFinding("sender", detail, ok=True)]


async def _look_up_source(settings: Settings, platform: Platform) -> list[OnlineFinding]:
    if settings.source.kind == "http" or settings.source.path == _STANDARD_INPUT:
        return []
    name = f"source of {settings.campaign}"
    try:
        counted = await asyncio.to_thread(count_source, settings)
        ids = await _first_conversations(settings)
    except SourceError as error:
        return [OnlineFinding(name, str(error), ok=False)]
    found = [OnlineFinding(name, counted, ok=True)] if counted else []
    return [*found, await _look_up_conversations(name, ids, platform)]


async def _look_up_conversations(
    name: str, ids: Sequence[str], platform: Platform
) -> OnlineFinding:
    """Return how many of a source's first conversations the platform knows."""
    if not ids:
        return OnlineFinding(name, "it has no contact to look up", ok=True)
    kinds = [classify(Step.CHECK, (await platform.check(id_)).result) for id_ in ids]
    gone, known = kinds.count(AnswerKind.GONE), kinds.count(AnswerKind.ACCEPTED)
    if gone == len(ids):
        detail = (
            f"none of its first {gone} conversations is known (404): the list (source.path) is of "
            "another organisation or too old, or the client's organisation or the region is wrong"
        )
        return OnlineFinding(name, detail, ok=False)
    return OnlineFinding(name, f"{known} of its first {len(ids)} conversations are known", ok=True)


async def _first_conversations(settings: Settings) -> Sequence[str]:
    """Return the first conversation ids of a source, from its beginning."""
    ids: dict[str, None] = {}
    source = make_source(settings, once=True, patient=False)
    async with aclosing(source.batches({})) as batches:
        async for batch in batches:
            ids.update(dict.fromkeys(contact.conversation_id for contact in batch.contacts))
            if len(ids) >= SAMPLE:
                break
    return list(ids)[:SAMPLE]
