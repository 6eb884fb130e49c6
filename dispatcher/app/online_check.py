"""Checks what a run needs: ledger, intake and sinks open, and the platform lets clients work."""

from contextlib import AsyncExitStack
from dataclasses import replace

import uvloop

from dispatcher.app.address_settings import api_setting
from dispatcher.app.authorization_report import OnlineFinding, grant_findings
from dispatcher.app.online_intake import check_intake
from dispatcher.app.online_lookups import look_up
from dispatcher.app.online_sinks import check_sinks
from dispatcher.app.store import check_ledger
from dispatcher.app.wiring import client_credentials, make_pacer, make_platform
from dispatcher.domain.answer import NoAnswer
from dispatcher.domain.errors import DispatcherError
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
from dispatcher.settings import Settings, per_client_settings

PROBE_ID = "dispatcher-check-online"
"""A conversation that does not exist: a 404 for it proves that state checks are permitted."""


def check_online(settings: Settings) -> list[OnlineFinding]:
    """Get a token, compare its grants with the required ones, and make one state check.

    Then look up the sender, and the first conversations of each source. No message is sent. First
    the ledger's database is opened, if it is in one, the addresses are tried at which contacts are
    accepted, and each sink is opened.
    """
    return uvloop.run(_check_all(settings))


async def _check_all(settings: Settings) -> list[OnlineFinding]:
    findings = [*_check_ledger(settings), *await check_intake(settings)]
    findings += await check_sinks(settings)
    for client, client_settings in per_client_settings(settings):
        prefix = f"client {client}: " if client else ""
        found = await _check_client(client_settings)
        findings += [replace(finding, what=prefix + finding.what) for finding in found]
    return findings


def _check_ledger(settings: Settings) -> list[OnlineFinding]:
    """Connect to the ledger's database, if it is in one."""
    try:
        found = check_ledger(settings.ledger_place)
    except DispatcherError as error:
        said = str(error).removeprefix(f"ledger {settings.ledger_place}: ")
        return [OnlineFinding("ledger", said, ok=False)]
    return [] if found is None else [OnlineFinding("ledger", found, ok=True)]


async def _check_client(settings: Settings) -> list[OnlineFinding]:
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        credentials = client_credentials(settings, clock, stack)
        pacer = make_pacer(settings, clock)
        platform = await make_platform(settings, pacer, clock, stack, credentials)
        try:
            grants = await platform.renew(0)
        except CredentialsError as error:
            return [OnlineFinding("token", str(error), ok=False)]
        except CredentialsUnavailableError as error:
            return [OnlineFinding("credentials", str(error), ok=False)]
        except TokenUnavailableError as error:
            return [OnlineFinding("platform", str(error), ok=False)]
        ok, detail = await _check_state(platform, settings)
        findings = [
            OnlineFinding("token", "issued", ok=True),
            *grant_findings(grants),
            OnlineFinding("state check", detail, ok=ok),
        ]
        if ok:
            findings += await look_up(settings, platform)
        return findings


async def _check_state(platform: Platform, settings: Settings) -> tuple[bool, str]:
    """Return whether the platform lets state checks in, and what it answered."""
    try:
        reply = await platform.check(PROBE_ID)
    except TokenExpiredError:
        return False, "the token expired as soon as it was issued"
    answer = reply.result
    if isinstance(answer, NoAnswer):
        return False, answer.detail
    if classify(Step.CHECK, answer) in (AnswerKind.GONE, AnswerKind.ACCEPTED):
        return True, f"the platform answered {answer.status}"
    if not answer.from_platform:
        detail = f"{answer.status} that is not the platform's answer: check {api_setting(settings)}"
        return False, detail
    words = f": {answer.words[:200]}" if answer.words else ""
    if classify(Step.CHECK, answer) is AnswerKind.UNAUTHORIZED:
        words += (
            "; a token is valid only in its own region: check that the API and the token host "
            "are in the same one"
        )
    missing = (
        f"; missing: {describe_missing(answer.missing_grants)}" if answer.missing_grants else ""
    )
    return False, f"the platform answered {answer.status}{words} ({answer.correlation_id}){missing}"
