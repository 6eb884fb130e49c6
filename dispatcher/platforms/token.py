"""Issues and renews the access token: before it expires, and once for all that wait for it."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from yarl import URL

from dispatcher.domain.answer import NoAnswer
from dispatcher.platforms.access_token import AccessToken, BearerTokenTracker, TokenRefusal
from dispatcher.platforms.grants import RequiredGrants, TokenInfo
from dispatcher.platforms.http import HttpClient
from dispatcher.platforms.missing_grants import MESSAGING_PAGES, AdminPages
from dispatcher.platforms.token_response import BASE_URL_SETTING, TokenAddress, parse_token
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    Clock,
    Credentials,
    CredentialsError,
    CredentialSource,
    TokenExpiredError,
    TokenGrants,
    TokenUnavailableError,
)

RENEW_AGAIN_SECONDS = 1.0
"""Pause after a failed renewal, while the current token is still valid."""


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """The token endpoint, the scopes to request, and what the calls need.

    ``scopes`` are requested (none: all that the client has). A token permits sends with any scope
    of ``write_any_of``, and checks with any of ``read_any_of`` (empty: not examined).
    ``permissions`` are required, too. ``pages`` are where an administrator grants all of it.
    ``setting`` and ``region`` are as in `TokenAddress`.
    """

    url: URL
    scopes: Sequence[str] = ()
    write_any_of: Sequence[str] = ()
    read_any_of: Sequence[str] = ()
    permissions: Sequence[str] = ()
    pages: AdminPages = field(default_factory=lambda: MESSAGING_PAGES)
    setting: str = BASE_URL_SETTING
    region: str = ""


Inspect = Callable[[dict[str, str]], Awaitable[TokenInfo]]
"""Returns what a new token grants, from its headers."""


OnTokenRequest = Callable[[str, float], None]
"""Called after each request for a token with its HTTP status, or the `NoAnswerCause`, and the
seconds that it took."""


class TokenManager:
    """Keeps one valid token, and reports what it grants.

    The grants are those in the response that issued the token or, with ``inspect``, those that
    it returns: it is called once for each token, as a part of the renewal.

    A client's id and secret are exchanged for a token; a bearer token is used as it is. If they
    are refused, ``credentials`` are refreshed and tried once more.
    """

    def __init__(
        self,
        http: HttpClient,
        options: TokenOptions,
        clock: Clock,
        credentials: CredentialSource,
        inspect: Inspect | None = None,
        on_request: OnTokenRequest = lambda _status, _seconds: None,
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._bearer_tracker = BearerTokenTracker(clock)
        self._options = options
        self._origin = http.origin(options.url)
        self._address = TokenAddress(str(options.url.origin()), options.setting, options.region)
        self._clock = clock
        self._inspect = inspect
        self._on_request = on_request
        scopes = (options.read_any_of, options.write_any_of)
        self._required = RequiredGrants(scopes, options.permissions, options.pages)
        self._token: AccessToken | None = None
        self._issued = 0
        self._renew_again_at = 0.0
        self._next_renewal: asyncio.Task[AccessToken] | None = None
        self._renewal: asyncio.Task[AccessToken] | None = None

    def fresh(self) -> AccessToken:
        """Return a valid token; start its renewal in the background before it expires.

        Raises:
            TokenExpiredError: there is none.

        """
        token, now = self._token, self._clock.monotonic()
        if token is None or now >= token.expires_at:
            raise TokenExpiredError(self._issued)
        due = now >= token.refresh_at and now >= self._renew_again_at
        if due and self._renewal is None and self._next_renewal is None:
            self._schedule()
        return token

    async def renew(self, number: int) -> TokenGrants:
        """See `dispatcher.ports.Platform.renew`."""
        token = self._token
        if token is not None and token.number > number:
            return self._grants(token)
        self._token = None
        if token is not None and self._bearer_tracker.mark_refused(token.number, token.expires_at):
            renewal = self._schedule()  # one that has begun may return the refused token again
        else:
            renewal = self._renewal or self._schedule()
        return self._grants(await asyncio.shield(renewal))

    async def verify(self) -> TokenGrants:
        """See `dispatcher.ports.Platform.verify`."""
        return self._grants(await asyncio.shield(self._schedule()))

    async def close(self) -> None:
        """Cancel all renewals."""
        tasks = [task for task in (self._renewal, self._next_renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _schedule(self) -> "asyncio.Task[AccessToken]":
        """Return the renewal that has not begun yet; create it if there is none."""
        if self._next_renewal is None:
            self._next_renewal = asyncio.create_task(self._renew_after(self._renewal))
            # mark an error as retrieved, although perhaps no caller waits for it
            self._next_renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._next_renewal

    async def _renew_after(self, previous: "asyncio.Task[AccessToken] | None") -> AccessToken:
        if previous is not None:
            await asyncio.wait([previous])
        self._renewal, self._next_renewal = self._next_renewal, None
        try:
            token = await self._issue()
            if self._inspect is not None:
                token = replace(token, info=await self._inspect(token.headers))
        except (CredentialsError, TokenUnavailableError):
            self._renew_again_at = self._clock.monotonic() + RENEW_AGAIN_SECONDS
            raise
        else:
            self._token = token
            return token
        finally:
            self._renewal = None

    async def _issue(self) -> AccessToken:
        credentials = await self._credentials.get()
        token = await self._token_for(credentials)
        if isinstance(token, TokenRefusal):
            refreshed = await self._credentials.refresh(credentials)
            if refreshed != credentials:
                token = await self._token_for(refreshed)
        if isinstance(token, TokenRefusal):
            raise CredentialsError(token.message)
        return token

    async def _token_for(self, credentials: Credentials) -> AccessToken | TokenRefusal:
        match credentials:
            case ClientCredentials():
                token = await self._exchange(credentials)
            case BearerToken():
                token = self._bearer_tracker.accept(credentials, self._issued + 1)
        if isinstance(token, AccessToken):
            self._issued = token.number
        return token

    async def _exchange(self, client: ClientCredentials) -> AccessToken | TokenRefusal:
        options = self._options
        form = {"grant_type": "client_credentials"}
        if options.scopes:
            form["scope"] = " ".join(options.scopes)
        data = urlencode(form, quote_via=quote, safe=":").encode()
        pair = f"{client.client_id}:{client.client_secret}"
        headers = {
            "Authorization": "Basic " + b64encode(pair.encode(errors="surrogateescape")).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        start = self._clock.monotonic()
        result, seconds = await self._http.request(
            self._origin, "POST", options.url.raw_path_qs, headers, data
        )
        status = result.cause if isinstance(result, NoAnswer) else str(result.status)
        self._on_request(status, seconds)
        return parse_token(result, self._address, start, self._issued + 1, client.where)

    def _grants(self, token: AccessToken) -> TokenGrants:
        return self._required.evaluate(token.number, token.info)
