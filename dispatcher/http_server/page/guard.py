"""Who may use the page: the checks of each request, and the headers of each response."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from aiohttp import web

from dispatcher.domain.loopback import is_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every response: nothing of another origin is loaded, and no other page may show this one."""

_READS = ("GET", "HEAD")
_OWN_SITES = ("same-origin", "none")


class PageRefusal(Exception):  # noqa: N818 - it is an answer, and never leaves this package
    """A request that is refused, with the status and the reason for people."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True, slots=True)
class PageGuard:
    """Refuses requests that are not of the operator.

    ``names`` are the hosts by which the page is asked for, beside addresses of this machine.
    ``token`` returns what a request must have as the password of basic auth, or as bearer token;
    empty if it needs none. ``writable`` permits changes.
    """

    names: Collection[str]
    token: Callable[[], str]
    writable: bool

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check a request before its handler."""
        self.check(request)
        return await handler(request)

    def check(self, request: web.Request) -> None:
        """Do nothing if the request may be answered.

        Raises:
            PageRefusal: it may not.

        """
        if not self._is_ours(request):
            raise PageRefusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "The Host of this request is not one of this page's. telemetry.page_names has the "
                "names by which it may be asked for.",
            )
        token = self.token()
        if token and not has_token(request.headers.get("Authorization", ""), token):
            raise PageRefusal(
                HTTPStatus.UNAUTHORIZED, "The token of telemetry.page_token is needed."
            )
        if request.method in _READS:
            _check_read(request)
            return
        if not self.writable:
            reason = "This page only reads. control.page = true permits changes."
            raise PageRefusal(HTTPStatus.FORBIDDEN, reason)
        if not is_same_origin(request):
            reason = "This request comes from another page, so it is refused."
            raise PageRefusal(HTTPStatus.FORBIDDEN, reason)

    def _is_ours(self, request: web.Request) -> bool:
        """Return True if the Host cannot be a foreign name that points to this machine."""
        host = host_name(request.headers.get("Host", ""))
        if host in self.names or is_loopback(host):
            return True
        own = request.get_extra_info("sockname")
        return own is not None and _same_address(host, str(own[0]))


def has_token(header: str, token: str) -> bool:
    """Return True if an Authorization header has the token; in the same time for any other one."""
    scheme, _, sent = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            sent = base64.b64decode(sent.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(sent.strip().encode("utf-8", "surrogateescape"), token.encode())


def is_same_origin(request: web.Request) -> bool:
    """Return True if a browser sent this for a page of ours, or for its user.

    A browser that does not send the site sends the origin of each change.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN_SITES
    origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
    return bool(host) and origin.partition("://")[2].lower() == host.lower()


def host_name(header: str) -> str:
    """Return the name in a Host header, in lower case and without its port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _check_read(request: web.Request) -> None:
    """Refuse what another site loads as a part of its own page; a link to here is fine."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in _OWN_SITES and request.headers.get("Sec-Fetch-Mode") != "navigate":
        raise PageRefusal(HTTPStatus.FORBIDDEN, "Another page asks for this, so it is refused.")


def _same_address(host: str, own: str) -> bool:
    try:
        address = ip_address(own)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return ip_address(host) in (address, mapped)
    except ValueError:
        return False
