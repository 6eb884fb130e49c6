"""Reports the end of ``dispatcher run`` to Datadog: its exit code, and in words what it means."""

from dispatcher.app.wiring import make_agent
from dispatcher.settings import Settings, SettingsError
from dispatcher.telemetry.metrics.agent import AgentAddress, find_agent
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient
from dispatcher.telemetry.metrics.sink import constant_tags

SECONDS = 0.5
"""Longest time that the end of a run waits for an agent to take the exit code."""


def report_exit(code: int, settings: Settings | None) -> None:
    """Send ``run.exits{code}`` for each campaign.

    ``settings`` may be those of a start that failed; without any, the agent is the one of the
    environment, or the default one.
    """
    agent = _agent(settings)
    if agent is None:
        return
    campaigns = [campaign.name for campaign in settings.campaigns] if settings else [""]
    dialect = settings.platform.dialect if settings else ""
    for campaign in campaigns:
        client = DogStatsdClient(agent, constant_tags(campaign, dialect), SECONDS)
        client.count(("run.exits", str(int(code))))
        client.start()
        client.close(SECONDS / len(campaigns))


def _agent(settings: Settings | None) -> AgentAddress | None:
    try:
        return make_agent(settings) if settings else find_agent()
    except (SettingsError, ValueError):  # the message of the start names it
        return None
