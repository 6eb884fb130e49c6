"""Reads what a token of the `genesys` dialect grants: ``GET /api/v2/tokens/me``.

Source: platform contract, scopes and permissions; the fields are those of the official SDK's
models ``TokenInfo``, ``OrgOAuthClient``, ``RoleDivision`` and ``NamedEntity``.
"""

from collections.abc import Collection, Iterator, Mapping

from yarl import URL

from dispatcher.domain.answer import NoAnswer, NoAnswerCause
from dispatcher.platforms.grants import RoleDivision, TokenInfo
from dispatcher.platforms.http import HttpClient, HttpResponse
from dispatcher.platforms.response_parsing import correlation, get_value, listed, text
from dispatcher.platforms.token_response import (
    BASE_URL_SETTING,
    TokenAddress,
    is_wrong_address,
    not_the_platform,
)

PATH = "/api/v2/tokens/me"
ACTIVE = "active"
"""The state of a client that may be used (source: the SDK's ``OrgOAuthClient.state``)."""
UNREAD = TokenInfo(about="what is granted could not be read at present")
_REFUSED = (401, 403)


class TokenInfoReader:
    """Reads what a token grants."""

    def __init__(self, http: HttpClient, api_url: str, setting: str = BASE_URL_SETTING) -> None:
        self._http = http
        self._origin = http.origin(URL(api_url))
        self._address = TokenAddress(str(URL(api_url).origin()), setting)
        self._reached = False

    async def __call__(self, headers: dict[str, str]) -> TokenInfo:
        """Return what the token in ``headers`` grants.

        If it cannot be read, ``about`` says so, and no grant is reported missing.

        Raises:
            WrongAddressError: what answers is not the platform, and never was.

        """
        result, _ = await self._http.request(self._origin, "GET", PATH, headers, None)
        if not self._reached and _is_another_server(result):
            raise not_the_platform(result, self._address)
        self._reached = self._reached or isinstance(result, HttpResponse)
        if isinstance(result, NoAnswer):
            return UNREAD
        if result.status in _REFUSED:
            refusal = f"the platform answered {result.status} to {PATH} ({correlation(result)})"
            return TokenInfo(about=f"{refusal}: what is granted could not be read")
        if result.status != 200 or result.body is None:  # noqa: PLR2004 - HTTP's OK
            return UNREAD
        return parse_token_info(result.body)


def _is_another_server(result: HttpResponse | NoAnswer) -> bool:
    """Return True if a refusal is not the platform's; a page with status 200 may be a fault."""
    if isinstance(result, HttpResponse):
        return is_wrong_address(result) and result.status // 100 != 2  # noqa: PLR2004 - HTTP's class of success
    return result.wrong_address and result.cause is NoAnswerCause.NOT_SENT


def parse_token_info(body: Mapping[str, object]) -> TokenInfo:
    """Parse a response's body; every part of it may be missing. No scopes mean no limit."""
    client = body.get("OAuthClient")
    scopes = _texts(body, "authorizedScope") or _texts(client, "scope") or None
    return TokenInfo(scopes, _roles(client), ", ".join(_about(body, client)))


def _about(body: Mapping[str, object], client: object) -> Iterator[str]:
    organization = body.get("organization") or get_value(client, "organization")
    for what, named in (("organisation", organization), ("client", client)):
        names = [_shown(value) for key in ("name", "id") if (value := text(named, key))]
        if names:
            yield f"{what} {' '.join(names[:1])}" + "".join(f" ({id_})" for id_ in names[1:])
    roles = _roles(client)
    if roles is not None:
        divisions = {grant.division for grant in roles}
        role_ids = {grant.role for grant in roles}
        yield f"{_count(role_ids, 'role')} in {_count(divisions, 'division')}"
    state = text(client, "state")
    if state and state.lower() != ACTIVE:
        yield f"the client is {_shown(state)}"


def _count(items: Collection[str], singular: str) -> str:
    return f"{len(items)} {singular}{'' if len(items) == 1 else 's'}"


def _shown(value: str) -> str:
    return "".join(character for character in value[:100] if character.isprintable())


def _roles(client: object) -> tuple[RoleDivision, ...] | None:
    if not isinstance(get_value(client, "roleDivisions"), list):
        return None
    return tuple(
        RoleDivision(role, text(row, "divisionId") or "")
        for row in listed(client, "roleDivisions")
        if (role := text(row, "roleId"))
    )


def _texts(value: object, key: str) -> tuple[str, ...] | None:
    if not isinstance(get_value(value, key), list):
        return None
    return tuple(item for item in listed(value, key) if isinstance(item, str) and item)
