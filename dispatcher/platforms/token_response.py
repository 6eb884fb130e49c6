"""Parses what a token endpoint answers: a token, a refusal, or what is not the platform."""

from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.domain.answer import NoAnswer
from dispatcher.platforms.access_token import AccessToken, TokenRefusal
from dispatcher.platforms.grants import TokenInfo
from dispatcher.platforms.http import HttpResponse
from dispatcher.ports import TokenUnavailableError, WrongAddressError

DEFAULT_LIFETIME = 300.0
"""Seconds that a token is valid if the response does not say."""
BASE_URL_SETTING = "platform.base_url"
"""The setting that an address follows from, if nothing else is said."""

_OK = 200
_REFUSALS = frozenset({400, 401, 403})
_PASSING = frozenset({407, 408, 425, 429, 500, 502, 503, 504})
"""HTTP's statuses of faults that may pass; a proxy sends them, too."""
_NOT_FOUND_WORDS = ("not found", "unknown client", "no such client", "does not exist")


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """The address of a token endpoint, for messages.

    ``origin`` is its scheme, host and port, ``setting`` the setting that it follows from. Clients
    exist only in one ``region``; it is empty if the platform has no regions.
    """

    origin: str
    setting: str = BASE_URL_SETTING
    region: str = ""


def is_wrong_address(result: HttpResponse | NoAnswer) -> bool:
    """Return True if what answers is not the platform: another web server, or no HTTP at all.

    The platform answers in JSON, and its own faults are temporary ones.
    """
    if isinstance(result, NoAnswer):
        return result.wrong_address
    if result.status in _PASSING:
        return False
    return result.body is None


def not_the_platform(result: HttpResponse | NoAnswer, address: TokenAddress) -> WrongAddressError:
    """Return the error of a wrong address, with the setting to correct."""
    if isinstance(result, NoAnswer):
        why = result.detail
    else:
        form = "not JSON" if result.body is None else "JSON that is not the platform's"
        why = f"it answered {result.status}, {form}"
    return WrongAddressError(
        f"{address.origin} is not the platform: {why}; check {address.setting}"
    )


def parse_token(
    result: HttpResponse | NoAnswer, address: TokenAddress, start: float, number: int, where: str
) -> AccessToken | TokenRefusal:
    """Return the token of a response, numbered ``number``, or why the credentials are refused.

    ``start`` is when the request began (monotonic seconds), ``where`` says where the credentials
    are kept.

    Raises:
        WrongAddressError: what answers is not the platform.
        TokenUnavailableError: the platform does not answer, or has a fault.

    """
    if is_wrong_address(result):
        raise not_the_platform(result, address)
    if isinstance(result, NoAnswer):
        raise TokenUnavailableError(f"{address.origin}: {result.detail}")
    body = result.body or {}
    if result.status in _REFUSALS:
        return TokenRefusal(_refusal(result.status, body, address, where))
    value = printable(body.get("access_token"))
    if result.status not in _PASSING and (result.status != _OK or not value):
        raise not_the_platform(result, address)
    if not value:
        raise TokenUnavailableError(f"{address.origin} answered {result.status}")
    return _token(body, value, start, number)


def _token(body: Mapping[str, object], value: str, start: float, number: int) -> AccessToken:
    lifetime = _lifetime(body.get("expires_in"))
    scope = body.get("scope")
    return AccessToken(
        number=number,
        headers={"Authorization": f"Bearer {value}"},
        issued=start,
        refresh_at=start + lifetime - min(60.0, lifetime * 0.3),
        expires_at=start + lifetime - min(5.0, lifetime * 0.05),
        info=TokenInfo(tuple(scope.split()) if isinstance(scope, str) else ()),
    )


def _refusal(status: int, body: Mapping[str, object], address: TokenAddress, where: str) -> str:
    """Return why the credentials are refused, and what to check first.

    A host that has never heard of the client answers 400, or says so; a wrong secret is a 401
    (source: answers of the platform's token hosts).
    """
    error = f"{status} {printable(body.get('error'))[:60]}".strip()
    words = f"{printable(body.get('description'))} {printable(body.get('error_description'))}"
    is_unknown = status == 400 or any(word in words.lower() for word in _NOT_FOUND_WORDS)  # noqa: PLR2004 - HTTP's Bad Request
    if address.region and is_unknown:
        return (
            f"{address.origin} does not know the client ({error}): a client exists in one region "
            f"only, so check that {address.setting} is the region of your organisation "
            f"({address.region} now); if it is, check {where}"
        )
    refused = f"the platform refused the client credentials ({error}): check {where}"
    if address.region:
        return f"{refused}, then that the client is of the region {address.region}"
    return refused


def _lifetime(expires_in: object) -> float:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or expires_in <= 0:
        return DEFAULT_LIFETIME
    return float(expires_in)


def printable(value: object) -> str:
    """Return ``value`` if it is a text that a header and a terminal can show; else ""."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else ""
