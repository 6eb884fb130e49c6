"""What the `genesys` dialect tells about a token: ``GET /api/v2/tokens/me``.

Source: platform contract, scopes and permissions; the fields are those of the official SDK's
models ``TokenInfo``, ``OrgOAuthClient``, ``RoleDivision`` and ``NamedEntity``.
"""

from collections.abc import Collection, Iterator, Mapping

from yarl import URL

from dispatcher.domain.answer import NoAnswer
from dispatcher.platforms.grants import RoleDivision, TokenInfo
from dispatcher.platforms.http import HttpClient, replace_invalid

PATH = "/api/v2/tokens/me"
ACTIVE = "active"
"""The state of a client that may be used (source: the SDK's ``OrgOAuthClient.state``)."""
_REFUSED = (401, 403)


class TokenInfoReader:
    """Asks what a token grants."""

    def __init__(self, http: HttpClient, api_url: str) -> None:
        self._http = http
        self._host = http.origin(URL(api_url))

    async def __call__(self, headers: dict[str, str]) -> TokenInfo | None:
        """Return what the token in ``headers`` grants; None if the platform does not say now.

        A refusal of this one question is told in ``about``, and nothing is claimed missing.
        """
        result, _ = await self._http.request(self._host, "GET", PATH, headers, None)
        if isinstance(result, NoAnswer):
            return None
        if result.status in _REFUSED:
            correlation = replace_invalid(result.headers.get("ININ-Correlation-Id", ""))
            words = f"the platform answered {result.status} to {PATH} ({correlation})"
            return TokenInfo(about=f"{words}: what is granted could not be read")
        if result.status != 200 or result.body is None:  # noqa: PLR2004 - HTTP's OK
            return None
        return parse_token_info(result.body)


def parse_token_info(body: Mapping[str, object]) -> TokenInfo:
    """Read the body of an answer; what is not there is not told."""
    client = _table(body, "OAuthClient")
    scopes = _texts(body.get("authorizedScope"))
    if not scopes:
        scopes = _texts(client.get("scope"))
    return TokenInfo(scopes, _roles(client.get("roleDivisions")), ", ".join(_about(body, client)))


def _about(body: Mapping[str, object], client: Mapping[str, object]) -> Iterator[str]:
    organization = _table(body, "organization") or _table(client, "organization")
    for what, named in (("organisation", organization), ("client", client)):
        names = [_shown(each) for key in ("name", "id") if (each := _text(named, key))]
        if names:
            yield f"{what} {' '.join(names[:1])}" + "".join(f" ({id_})" for id_ in names[1:])
    roles = _roles(client.get("roleDivisions"))
    if roles is not None:
        divisions = {each.division for each in roles}
        held = {each.role for each in roles}
        yield f"{_number(held, 'role')} in {_number(divisions, 'division')}"
    state = _text(client, "state")
    if state and state.lower() != ACTIVE:
        yield f"the client is {_shown(state)}"


def _number(things: Collection[str], one: str) -> str:
    return f"{len(things)} {one}{'' if len(things) == 1 else 's'}"


def _shown(text: str) -> str:
    return "".join(each for each in replace_invalid(text)[:100] if each.isprintable())


def _roles(value: object) -> tuple[RoleDivision, ...] | None:
    if not isinstance(value, list):
        return None
    listed = (each for each in value if isinstance(each, dict))
    return tuple(
        RoleDivision(_text(each, "roleId"), _text(each, "divisionId"))
        for each in listed
        if _text(each, "roleId")
    )


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(each for each in value if isinstance(each, str) and each)


def _table(body: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = body.get(key)
    return found if isinstance(found, dict) else {}


def _text(body: Mapping[str, object], key: str) -> str:
    found = body.get(key)
    return found if isinstance(found, str) else ""
