"""Why a request has no response, in words for people. No text names a host, a URL or a password."""

import errno
import re
import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

NO_TLS = "the server there does not use TLS: write http:// for this machine, or correct the port"
_NO_TLS_REASONS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}
    | {"RECORD_LAYER_FAILURE"}
)
"""OpenSSL's reasons if the bytes of the other side are no TLS record."""
_BY_ERRNO: Mapping[int, str] = {
    errno.ECONNREFUSED: "the connection is refused: nothing listens on this port",
    errno.ECONNRESET: "the connection was reset",
    errno.ECONNABORTED: "the connection was aborted",
    errno.EPIPE: "the connection was closed by the other side",
    errno.ETIMEDOUT: "the connection timed out",
    errno.EHOSTUNREACH: "the host cannot be reached: check the network",
    errno.ENETUNREACH: "the network cannot be reached: check the network",
    errno.EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
}
_ERRNO_IN_TEXT = re.compile(r"Errno (\d+)")


def speaks_no_tls(error: BaseException) -> bool:
    """Return True if a TLS connection met something that does not speak TLS."""
    cause = getattr(error, "os_error", error)
    return isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS_REASONS


def is_not_http(error: BaseException) -> bool:
    """Return True if the answer was not HTTP."""
    return isinstance(error, HttpProcessingError)


def describe(error: Exception) -> str:
    """Return what went wrong, and what to do if that is known."""
    if isinstance(error, aiohttp.ClientHttpProxyError):  # its text contains the proxy's password
        return f"the proxy answered {error.status} {error.message}"
    if isinstance(error, HttpProcessingError):
        return f"the answer is not HTTP ({_first_line(error.message)}): is the port right?"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed before the answer"
    if isinstance(error, TimeoutError):  # aiohttp's timeouts, too
        return "no answer in time" if not str(error) else f"no answer in time ({error})"
    prefix = "the proxy: " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    return prefix + _describe_connection(error)


def _describe_connection(error: Exception) -> str:
    if speaks_no_tls(error):
        return NO_TLS
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name is not known: check the spelling, and the network's DNS"
    certificate = getattr(error, "certificate_error", None)
    cause = getattr(error, "os_error", None) or error
    if isinstance(certificate, ssl.SSLCertVerificationError):
        why = certificate.verify_message.rstrip(".")
        return f"its certificate is not trusted here ({why}): set platform.ca_bundle"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed ({cause.reason or 'unknown reason'})"
    number = cause.errno if isinstance(cause, OSError) else None
    if number is None and (found := _ERRNO_IN_TEXT.search(str(cause))):  # several addresses failed
        number = int(found[1])
    if (words := _BY_ERRNO.get(number or 0)) is not None:
        return words
    return f"{type(error).__name__}: {_detail(error, cause)}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(" :")


def _detail(error: Exception, cause: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):  # its own text repeats host and port
        return getattr(cause, "strerror", None) or str(cause)
    if isinstance(error, aiohttp.ClientResponseError):  # its text contains the URL
        return f"{error.status} {error.message}"
    return str(error)
