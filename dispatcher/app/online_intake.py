"""Checks whether contacts can be accepted over HTTP: the addresses, and the files of the tokens."""

from contextlib import AsyncExitStack

from dispatcher.app.authorization_report import OnlineFinding
from dispatcher.app.http_intake import post_token_reader
from dispatcher.http_server.posts import PostAddressError, serve_posts
from dispatcher.ports import CredentialsError
from dispatcher.settings import HttpSourceSettings, Settings


async def check_intake(settings: Settings) -> list[OnlineFinding]:
    """Listen on each address for a moment, and read each token; no post is accepted."""
    findings = []
    addresses: set[tuple[str, int]] = set()
    for campaign in settings.campaigns:
        source = campaign.source
        if source.kind != "http":
            continue
        findings.append(_check_token(campaign.name, source.posts, settings))
        if (source.posts.host, source.posts.port) not in addresses:
            addresses.add((source.posts.host, source.posts.port))
            findings.append(await _check_address(source.posts))
    return findings


def _check_token(campaign: str, http: HttpSourceSettings, settings: Settings) -> OnlineFinding:
    what = f"token for posts to {campaign}"
    try:
        token = post_token_reader(http, settings.environment)()
    except CredentialsError as error:
        return OnlineFinding(what, str(error), ok=False)
    detail = "it can be read" if token else "none: everybody on this machine can post contacts"
    return OnlineFinding(what, detail, ok=True)


async def _check_address(http: HttpSourceSettings) -> OnlineFinding:
    try:
        async with AsyncExitStack() as stack:
            await serve_posts(stack, http.host, http.port, {})
    except PostAddressError as error:
        detail = f"{error}; if it is this campaign's own dispatcher, nothing is wrong"
        return OnlineFinding("address for posts", detail, ok=False)
    return OnlineFinding("address for posts", f"{http.host}:{http.port} is free", ok=True)
