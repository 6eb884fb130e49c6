"""Reports the end of ``dispatcher run`` to Datadog: its exit code, and in words what it means."""

import structlog

from dispatcher.app.wiring import make_agent
from dispatcher.domain.errors import ExitCode
from dispatcher.settings import Settings, SettingsError
from dispatcher.settings.campaigns import UNNAMED
from dispatcher.telemetry.metrics.agent import AgentAddress, find_agent
from dispatcher.telemetry.metrics.catalog import WATCHED_EXITS
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient
from dispatcher.telemetry.metrics.sink import constant_tags

SECONDS = 0.5
"""Longest time that the end of a run waits for an agent to take the exit code."""

ORDINARY = frozenset({ExitCode.DONE, ExitCode.DEFERRED, ExitCode.PAUSED, ExitCode.NO_ROWS})
"""Exit codes of runs in which nothing went wrong: there is no event for them."""


def report_exit(code: int, words: str, settings: Settings | None) -> None:
    """Send ``run.exits{code}`` for each campaign, and unless the end is ordinary an event.

    ``words`` are the event's text. ``settings`` may be those of a start that failed; without any,
    the agent is the one of the environment, or the default one, and no campaign is named.
    """
    agent = _agent(settings)
    if agent is None:
        return
    names = [campaign.name for campaign in settings.campaigns] if settings else [UNNAMED]
    dialect = settings.platform.dialect if settings else ""
    clients = [
        _send(agent, code, words, "" if name == UNNAMED else name, dialect) for name in names
    ]
    for client in clients:
        client.end(SECONDS)
    for client in clients:
        client.close(SECONDS)


def _send(
    agent: AgentAddress, code: int, words: str, campaign: str, dialect: str
) -> DogStatsdClient:
    # When a run ends its log is closed, and when a start fails it may not be open yet.
    log = structlog.ReturnLogger()
    client = DogStatsdClient(agent, constant_tags(campaign, dialect), SECONDS, log)
    number = str(int(code))
    client.count(("run.exits", number))
    if code not in ORDINARY:
        client.event(
            f"dispatcher {campaign} ended with exit code {number}".replace("  ", " "),
            f"{words}\n\nWhat to do: docs/operations.md, section Exit codes.",
            alert_type="error" if number in WATCHED_EXITS else "warning",
            group=f"dispatcher-exit-{campaign}",
            tags=[f"code:{number}"],
        )
    client.start()
    return client


def _agent(settings: Settings | None) -> AgentAddress | None:
    try:
        return make_agent(settings) if settings else find_agent()
    except (SettingsError, ValueError):  # the message of the start names it
        return None
