"""Requests to Datadog's API, by its official client: keys, limits, and errors in words."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.telemetry.datadog_assets.libraries import import_datadog_library

ATTEMPTS = 5
"""Attempts of a request that is answered with 429, or with 5xx where it can be repeated."""

LONGEST_WAIT = 120.0
"""Longest wait for one answer 429, in seconds: the longest period of a limit is longer."""

_TOO_MANY = 429
_NOT_FOUND = 404
_SECONDS = 30.0
_REMEDIES = {
    400: "correct the file that it names",
    401: "set DD_API_KEY to a valid API key of the site (DD_SITE)",
    403: "DD_API_KEY or DD_APP_KEY is not valid for the site (DD_SITE), or the application key "
    "lacks a permission: monitors_write, dashboards_write, logs_write_pipelines, "
    "metrics_metadata_write, metric_tags_write",
    404: "check DD_SITE and --api-url",
    429: "wait for some minutes and run the command again: it continues",
}
_LATER = "run the command again: it finds what it has made"


class DatadogApiError(DispatcherError):
    """Datadog's API refuses a request or does not answer."""

    exit_code: ClassVar[ExitCode] = ExitCode.PLATFORM

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class DatadogApi:
    """Makes requests, and repeats those that may be repeated.

    ``url`` is the address of the API. ``say`` gets a line of text before each wait.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        app_key: str,
        *,
        proxy: str | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        configuration = import_datadog_library("datadog_api_client.configuration").Configuration(
            host=url.rstrip("/")
        )
        configuration.proxy = proxy
        # The client would wait without a word, as long as the answer asks for.
        configuration.retry_policy = import_datadog_library("urllib3.util").Retry(
            0, respect_retry_after_header=False
        )
        client = import_datadog_library("datadog_api_client.api_client")
        errors = import_datadog_library("datadog_api_client.exceptions")
        urllib3 = import_datadog_library("urllib3.exceptions")
        self._client = client.ApiClient(configuration)
        self._refusal: type[Exception] = errors.ApiException
        self._no_answer: type[Exception] = urllib3.HTTPError
        self._other_answer: type[Exception] = errors.OpenApiException
        self._keys = {"DD-API-KEY": api_key, "DD-APPLICATION-KEY": app_key}
        self._url, self._say = url, say

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Sequence[tuple[str, object]] = (),
        shape: type = dict,
    ) -> Any:
        """Make a request and return the JSON of its answer: an object, or a list of objects.

        Raises:
            DatadogApiError: Datadog refuses it, does not answer, or answers something else.

        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._once(method, path, body, query)
            except self._refusal as error:
                wait = _wait(error, method, attempt)
                if wait is None or attempt == ATTEMPTS:
                    raise _refused(method, path, error) from None
            except self._other_answer:
                raise self._unlike(method, path) from None
            except self._no_answer as error:
                if method == "POST" or attempt == ATTEMPTS:
                    raise self._unanswered(error) from None
                wait = float(attempt)
            else:
                if _has_shape(answer, shape):
                    return answer
                raise self._unlike(method, path)
            self._say(f"Datadog cannot answer {method} {path} now: next attempt in {wait:g} s")
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def find(self, path: str) -> Any:
        """Return the JSON at a path; None if there is nothing.

        Raises:
            DatadogApiError: Datadog refuses it, or does not answer.

        """
        try:
            return self.request("GET", path)
        except DatadogApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _once(self, method: str, path: str, body: Any, query: Sequence[tuple[str, object]]) -> Any:
        return self._client.call_api(
            path,
            method,
            query_params=list(query),
            header_params={"Accept": "application/json", **self._keys},
            body=body,
            response_type=(dict, list),
            return_http_data_only=True,
            request_timeout=_SECONDS,
            check_type=False,
        )

    def _unlike(self, method: str, path: str) -> DatadogApiError:
        return DatadogApiError(
            f"{self._url} does not answer {method} {path} like Datadog's API: check "
            f"DD_SITE, --api-url and DD_PROXY_HTTPS, then {_LATER}"
        )

    def _unanswered(self, error: Exception) -> DatadogApiError:
        cause = type(getattr(error, "reason", error)).__name__
        return DatadogApiError(
            f"{self._url} does not answer ({cause}): check DD_SITE, --api-url and "
            f"DD_PROXY_HTTPS, then {_LATER}"
        )


def _has_shape(answer: Any, shape: type) -> bool:
    items = answer if isinstance(answer, list) else [answer]
    return isinstance(answer, shape) and all(isinstance(item, dict) for item in items)


def _wait(error: Any, method: str, attempt: int) -> float | None:
    """Return how long to wait for the next attempt; None if there must be none."""
    if error.status == _TOO_MANY:
        requested = _requested_wait(error.headers or {})
        wait = 2.0**attempt if requested is None else requested
        return wait if wait <= LONGEST_WAIT else None
    if error.status >= 500 and method != "POST":  # noqa: PLR2004 - HTTP's server errors
        return float(attempt)  # a POST may have had an effect
    return None


def _requested_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After`` or of Datadog's ``X-RateLimit-Reset``."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name in ("retry-after", "x-ratelimit-reset"):
        text = lower.get(name, "").strip()
        if text.isdecimal():
            return float(text)
    return None


def _refused(method: str, path: str, error: Any) -> DatadogApiError:
    what = "; ".join(_error_texts(error.body)) or str(error.reason or "")
    remedy = _REMEDIES.get(error.status, _LATER)
    return DatadogApiError(
        f"Datadog answers {method} {path} with {error.status}"
        f"{f' ({what[:300]})' if what else ''}: {remedy}",
        error.status,
    )


def _error_texts(body: Any) -> list[str]:
    listed = body.get("errors") if isinstance(body, dict) else None
    return [str(text) for text in listed] if isinstance(listed, list) else []
