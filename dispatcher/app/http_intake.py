"""Connects the HTTP intake with the campaigns whose contacts are posted."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus

import structlog
from pydantic import SecretStr

from dispatcher.app.campaigns import OpenCampaign
from dispatcher.app.token_file import token_reader
from dispatcher.domain.events import PostAnswered
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.http_server.posts import PostTarget, serve_posts
from dispatcher.ports import Post, PostRefusal, PostRefusedError, Receipt
from dispatcher.settings import HttpSourceSettings, Settings
from dispatcher.sources.intake.http_source import HttpSource

_PAUSED_SECONDS = 60
_BACKLOG_SECONDS = 30
_STANDBY_SECONDS = 2


async def serve_intake(
    stack: AsyncExitStack,
    opened: Sequence[OpenCampaign],
    runs: Sequence[CampaignRun],
    environment: Mapping[str, SecretStr],
) -> None:
    """Accept posts for all campaigns with ``kind = "http"``, until the stack is closed.

    Campaigns with the same host and port share a server.

    Raises:
        PostAddressError: an address cannot be listened on.
        CredentialsError: the file of a token cannot be read.

    """
    servers, sources = _Servers(), []
    for campaign, run in zip(opened, runs, strict=True):
        if isinstance(campaign.source, HttpSource) and campaign.source.watched:
            http = campaign.settings.source.posts
            target = _target(campaign, campaign.source, run, post_token_reader(http, environment))
            servers.add(http, run.name, target)
            sources.append(campaign.source)
    for name, url in (await servers.serve(stack)).items():
        structlog.get_logger(campaign=name).info("intake.listening", url=url)
    for source in sources:
        stack.callback(source.close)


async def refuse_posts(
    stack: AsyncExitStack, campaign_settings: Sequence[Settings], detail: Callable[[], str]
) -> None:
    """Answer all posts with 503 until the stack is closed: another dispatcher leads.

    ``campaign_settings`` are the settings of each campaign; ``detail`` says who leads.

    Raises:
        PostAddressError: an address cannot be listened on.
        CredentialsError: the file of a token cannot be read.

    """

    async def accept(_: Post) -> Receipt:
        raise PostRefusedError(PostRefusal.STANDBY, detail(), _STANDBY_SECONDS)

    def check() -> None:
        raise PostRefusedError(PostRefusal.STANDBY, detail(), _STANDBY_SECONDS)

    servers = _Servers()
    for of_campaign in campaign_settings:
        if of_campaign.source.kind == "http":
            http = of_campaign.source.posts
            token = post_token_reader(http, of_campaign.environment)
            target = PostTarget(accept, check, token, lambda _status, _rows: None, http.most_bytes)
            servers.add(http, of_campaign.campaign, target)
    await servers.serve(stack)


class _Servers:
    """The servers of several campaigns: those with the same host and port share one."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, int], dict[str, PostTarget]] = defaultdict(dict)

    def add(self, http: HttpSourceSettings, campaign: str, target: PostTarget) -> None:
        """Take the posts of a campaign at the address of its settings."""
        self._targets[http.host, http.port][campaign] = target

    async def serve(self, stack: AsyncExitStack) -> dict[str, str]:
        """Serve until the stack is closed; return the URL of each campaign's server."""
        urls: dict[str, str] = {}
        for (host, port), targets in self._targets.items():
            url = await serve_posts(stack, host, port, targets)
            urls.update(dict.fromkeys(targets, url))
        return urls


def post_token_reader(
    http: HttpSourceSettings, environment: Mapping[str, SecretStr]
) -> Callable[[], str]:
    """Return what returns the token that clients must have; empty if they need none.

    Raises:
        CredentialsError: the file of the token cannot be read.

    """
    key = "source.http.token_file"
    return token_reader(http.token_file, http.token_variable, environment, key)


def _target(
    opened: OpenCampaign, source: HttpSource, run: CampaignRun, token: Callable[[], str]
) -> PostTarget:
    http, events = opened.settings.source.posts, opened.events

    def check() -> None:
        check_room(run, http.most_waiting)

    def answered(status: HTTPStatus, rows: int) -> None:
        source.note_answer(status)
        events.emit(PostAnswered(str(status.value), rows))

    return PostTarget(source.accept, check, token, answered, http.most_bytes)


def check_room(run: CampaignRun, most_waiting: int) -> None:
    """Do nothing if a campaign takes contacts now.

    Raises:
        PostRefusedError: it is paused, or more than ``most_waiting`` of its contacts wait.

    """
    if run.paused_at is not None:
        detail = "the campaign is paused by its operator"
        raise PostRefusedError(PostRefusal.PAUSED, detail, _PAUSED_SECONDS)
    if run.intake.ready_count > most_waiting:
        detail = f"{run.intake.ready_count:,} contacts wait (source.http.most_waiting)"
        raise PostRefusedError(PostRefusal.BACKLOG, detail, _BACKLOG_SECONDS)
