"""The bearer token: client credentials, renewed before it expires, one renewal for all."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from yarl import URL

from dispatcher.domain.answer import NoAnswer
from dispatcher.platforms.bearer_token import BearerTokenTracker, TokenRefusal
from dispatcher.platforms.grants import RequiredGrants, TokenInfo
from dispatcher.platforms.http import HttpClient, HttpResponse
from dispatcher.platforms.missing_grants import MESSAGING_PAGES, AdminPages
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

DEFAULT_LIFETIME = 300.0
"""Seconds that a token is taken to live whose answer does not say."""
RENEW_AGAIN_SECONDS = 1.0
"""Pause after a renewal that failed while the token before it still lives."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An issued token. Times are monotonic seconds; ``headers`` carry it.

    ``granted`` is what its own answer said, None where nobody told; ``found`` is what the platform
    told about it when it was asked.
    """

    number: int
    headers: dict[str, str] = field(repr=False)
    issued: float
    refresh_at: float
    expires_at: float
    granted: tuple[str, ...] | None
    info: TokenInfo | None = None


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """What to ask for, and what the calls need.

    ``scopes`` are asked for (none: whatever the client has). A token permits sends if it has
    any of ``write_any_of``, and checks if it has any of ``read_any_of`` (empty: not judged).
    ``permissions`` are needed besides, and ``pages`` tell where all of it is granted.
    """

    url: URL
    scopes: Sequence[str] = ()
    write_any_of: Sequence[str] = ()
    read_any_of: Sequence[str] = ()
    permissions: Sequence[str] = ()
    pages: AdminPages = MESSAGING_PAGES

    def required_grants(self) -> RequiredGrants:
        """Return what a token is held against."""
        return RequiredGrants((self.read_any_of, self.write_any_of), self.permissions, self.pages)


Inspect = Callable[[dict[str, str]], Awaitable[TokenInfo | None]]
"""Tells by a new token's headers what it grants; None where that cannot be learnt just now."""


class TokenManager:
    """Keeps one valid token and tells what it grants.

    What it grants is what the answer said that issued it, or, with ``inspect``, what that tells:
    it is asked once for each token, as a part of its renewal.

    A client's id and secret are exchanged for a token; a bearer token is used as it is. Where
    they are refused, ``credentials`` are asked once for newer ones.
    """

    def __init__(
        self,
        http: HttpClient,
        options: TokenOptions,
        clock: Clock,
        credentials: CredentialSource,
        inspect: Inspect | None = None,
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._bearer_tracker = BearerTokenTracker(clock)
        self._options = options
        self._host = http.origin(options.url)
        self._clock = clock
        self._inspect = inspect
        self._required = options.required_grants()
        self._token: AccessToken | None = None
        self._issued = 0
        self._renew_again_at = 0.0
        self._next_renewal: asyncio.Task[AccessToken] | None = None
        self._renewal: asyncio.Task[AccessToken] | None = None

    def fresh(self) -> AccessToken:
        """Return a token that has not expired; renew it in the background before it does.

        Raises:
            TokenExpiredError: there is none just now.

        """
        token, now = self._token, self._clock.monotonic()
        if token is None or now >= token.expires_at:
            raise TokenExpiredError(self._issued)
        idle = self._renewal is None and self._next_renewal is None
        if idle and now >= max(token.refresh_at, self._renew_again_at):
            self._schedule()
        return token

    async def renew(self, number: int) -> TokenGrants:
        """See `dispatcher.ports.Platform.renew`."""
        token = self._token
        if token is not None and token.number > number:
            return self._grants(token)
        self._token = None
        if token is not None and self._bearer_tracker.mark_refused(token.number, token.expires_at):
            # one that is under way may bring the refused token once more
            return self._grants(await asyncio.shield(self._schedule()))
        return self._grants(await self._join_renewal())

    async def verify(self) -> TokenGrants:
        """See `dispatcher.ports.Platform.verify`."""
        return self._grants(await asyncio.shield(self._schedule()))

    async def close(self) -> None:
        """End a renewal that is under way."""
        tasks = [task for task in (self._renewal, self._next_renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join_renewal(self) -> AccessToken:
        return await asyncio.shield(self._renewal or self._schedule())

    def _schedule(self) -> "asyncio.Task[AccessToken]":
        """Return the renewal that has not begun yet; make it if there is none."""
        if self._next_renewal is None:
            self._next_renewal = asyncio.create_task(self._renew_after(self._renewal))
            self._next_renewal.add_done_callback(_retrieve)
        return self._next_renewal

    async def _renew_after(self, before: "asyncio.Task[AccessToken] | None") -> AccessToken:
        if before is not None:
            await asyncio.wait([before])
        self._renewal, self._next_renewal = self._next_renewal, None
        try:
            token = await self._add_token_info(await self._issue())
        except (CredentialsError, TokenUnavailableError):
            self._renew_again_at = self._clock.monotonic() + RENEW_AGAIN_SECONDS
            raise
        else:
            self._token = token
            return token
        finally:
            self._renewal = None

    async def _add_token_info(self, token: AccessToken) -> AccessToken:
        if self._inspect is None:
            return token
        return replace(token, info=await self._inspect(token.headers))

    async def _issue(self) -> AccessToken:
        credentials = await self._credentials.get()
        token = await self._token_for(credentials)
        if isinstance(token, TokenRefusal):
            newer = await self._credentials.refresh(credentials)
            if newer != credentials:
                token = await self._token_for(newer)
        if isinstance(token, TokenRefusal):
            raise CredentialsError(token.message)
        return token

    async def _token_for(self, credentials: Credentials) -> AccessToken | TokenRefusal:
        match credentials:
            case ClientCredentials():
                return await self._exchange_credentials(credentials)
            case BearerToken():
                return self._use_bearer(credentials)

    def _use_bearer(self, bearer: BearerToken) -> AccessToken | TokenRefusal:
        """Take a bearer token for issued; it keeps its number for as long as it stays the same."""
        use = self._bearer_tracker.accept(bearer, self._issued + 1)
        if isinstance(use, TokenRefusal):
            return use
        self._issued = use.number
        return AccessToken(
            number=use.number,
            headers={"Authorization": f"Bearer {bearer.value}"},
            issued=use.since,
            refresh_at=use.reload_at,
            expires_at=use.expires_at,
            granted=bearer.scopes,
        )

    async def _exchange_credentials(self, client: ClientCredentials) -> AccessToken | TokenRefusal:
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
        result, _ = await self._http.request(
            self._host, "POST", options.url.raw_path_qs, headers, data
        )
        return self._parse_token(result, start, client.where)

    def _parse_token(
        self, result: HttpResponse | NoAnswer, start: float, where: str
    ) -> AccessToken | TokenRefusal:
        if isinstance(result, NoAnswer):
            raise TokenUnavailableError(f"{self._options.url.host}: {result.detail}")
        body = result.body
        if body is not None and result.status in (400, 401, 403):
            told = f"{result.status} {_printable(body.get('error'))[:60]}".strip()
            return TokenRefusal(
                f"the platform refused the client credentials ({told}): check {where}"
            )
        value = _printable(body.get("access_token")) if body is not None else ""
        if body is None or result.status != 200 or not value:  # noqa: PLR2004 - HTTP's OK
            raise TokenUnavailableError(f"the token endpoint answered {result.status}")
        self._issued += 1
        life = _lifetime(body.get("expires_in"))
        scope = body.get("scope")
        return AccessToken(
            number=self._issued,
            headers={"Authorization": f"Bearer {value}"},
            issued=start,
            refresh_at=start + life - min(60.0, life * 0.3),
            expires_at=start + life - min(5.0, life * 0.05),
            granted=tuple(scope.split()) if isinstance(scope, str) else (),
        )

    def _grants(self, token: AccessToken) -> TokenGrants:
        if self._inspect is None:
            return self._required.evaluate(token.number, token.granted)
        return self._required.evaluate_reported(token.number, token.info)


def _lifetime(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or told <= 0:
        return DEFAULT_LIFETIME
    return float(told)


def _printable(value: object) -> str:
    """Return a text that a header can carry and a terminal can show; empty for all else."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else ""


def _retrieve(task: "asyncio.Task[AccessToken]") -> None:
    if not task.cancelled():
        task.exception()
