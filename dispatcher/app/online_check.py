"""Whether the platform answers, and whether it lets this client do its work."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from dispatcher.app.authorization_report import described
from dispatcher.app.dialects import token_url
from dispatcher.app.wiring import make_pacer, make_platform
from dispatcher.domain.answer import Answer, NoAnswer
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.engine.authorization import describe_missing
from dispatcher.engine.clock import SystemClock
from dispatcher.ports import (
    CredentialsError,
    CredentialsUnavailableError,
    Platform,
    TokenExpiredError,
    TokenUnavailableError,
)
from dispatcher.settings import Settings, each_client

PROBE_ID = "dispatcher-check-online"
"""A conversation that does not exist: a 404 for it proves that state checks are let in."""


@dataclass(frozen=True, slots=True)
class OnlineFinding:
    """One thing that was looked at; ``detail`` says what was seen, and what to do."""

    ok: bool
    what: str
    detail: str


def check_online(settings: Settings) -> list[OnlineFinding]:
    """Ask for a token, hold what it grants against what is required, and make one state check.

    Nothing is sent.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_look(settings))


async def _look(settings: Settings) -> list[OnlineFinding]:
    findings: list[OnlineFinding] = []
    for client, own in each_client(settings):
        found = await _look_at(own)
        front = f"client {client}: " if client else ""
        findings += [OnlineFinding(each.ok, front + each.what, each.detail) for each in found]
    return findings


async def _look_at(settings: Settings) -> list[OnlineFinding]:
    """Look at one client."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        platform = await make_platform(settings, make_pacer(settings, clock), clock, stack)
        try:
            authority = await platform.renew(0)
        except CredentialsError as error:
            return [_bad("token", str(error))]
        except CredentialsUnavailableError as error:
            return [_bad("credentials", str(error))]
        except TokenUnavailableError as error:
            detail = f"no answer from {token_url(settings).origin()}: {error}"
            return [_bad("platform", detail)]
        findings = [_good("token", "issued")]
        findings += [OnlineFinding(*each) for each in described(authority)]
        findings.append(await _state_check(platform))
        return findings


async def _state_check(platform: Platform) -> OnlineFinding:
    try:
        reply = await platform.check(PROBE_ID)
    except TokenExpiredError:
        return _bad("state check", "the token expired as soon as it was issued")
    result = reply.result
    if isinstance(result, NoAnswer):
        return _bad("state check", result.detail)
    if classify(Step.CHECK, result) in (AnswerKind.GONE, AnswerKind.ACCEPTED):
        return _good("state check", f"the platform answered {result.status}")
    return _bad("state check", _refusal(result))


def _good(what: str, detail: str) -> OnlineFinding:
    return OnlineFinding(ok=True, what=what, detail=detail)


def _bad(what: str, detail: str) -> OnlineFinding:
    return OnlineFinding(ok=False, what=what, detail=detail)


def _refusal(answer: Answer) -> str:
    words = f": {answer.words[:200]}" if answer.words else ""
    lacks = (
        f"; missing is {describe_missing(answer.missing_grants)}" if answer.missing_grants else ""
    )
    return f"the platform answered {answer.status}{words} ({answer.correlation_id}){lacks}"
