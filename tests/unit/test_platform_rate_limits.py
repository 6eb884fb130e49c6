"""What a 429 means: whose limit it is, and how long to wait."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from dispatcher.platforms.http import parse_quota
from dispatcher.platforms.rate_limits import (
    LONGEST_WAIT_SECONDS,
    RetryAfter,
    SharedLimits,
    endpoint_limit,
    read_retry_after,
)

NOW = 1_795_000_000.0
CLIENT_KEYS = [
    "token.rate.per.minute",
    "client.rate.per.minute",
    "client.credentials.token.rate.per.minute",
    "org.app.user.rate.per.minute",
    "org.user.rate.per.minute",
    "ui.token.rate.per.minute",
    "token.rate.per.day",
    "Organization.Requests.Per.Day",
    "user-rate-per-second",
    "oauth_client_rate",
]
ENDPOINT_KEYS = [
    "notifications.per.day",
    "agentless.day",
    "org.agentless.messages.per.minute",
    "client.analytics.queries.per.minute",
    "conversations.messages.rate.per.minute",
    "daily",
]


@pytest.mark.parametrize("namespace", ["", "platform.api", "messaging"])
@pytest.mark.parametrize("key", CLIENT_KEYS)
def test_a_limit_of_the_client_or_its_organisation_is_no_endpoints(key, namespace):
    """Whatever the namespace is: every request meets it."""
    assert endpoint_limit(key, namespace) is None


@pytest.mark.parametrize("key", ENDPOINT_KEYS)
def test_a_limit_that_names_an_endpoint_is_its_own(key):
    """The other requests go on, even if the key names the organisation, too."""
    assert endpoint_limit(key, "messaging") == key


def test_an_unknown_key_is_the_clients_in_the_namespace_of_the_whole_api():
    """Elsewhere it is an endpoint's; no key at all is the client's."""
    assert endpoint_limit("requests.in.flight", "platform.api") is None
    assert endpoint_limit("requests.in.flight", "messaging") == "requests.in.flight"
    assert endpoint_limit("", "messaging") is None


def test_a_limit_that_checks_and_sends_meet_is_the_clients():
    """An unknown key; analytics prove nothing, and neither does the same kind twice."""
    limits = SharedLimits()
    check, send = ("GET", "/api/v2/conversations/messages/c-1"), ("POST", "/api/v2/x/agentless")
    assert not limits.is_shared("odd", *check)
    assert not limits.is_shared("odd", *check)
    assert not limits.is_shared("odd", "POST", "/api/v2/analytics/conversations/details/query")
    assert not limits.is_shared("other", *send)
    assert limits.is_shared("odd", *send)
    assert limits.is_shared("odd", *check)


def waited(value, *, date=None, words="", now=NOW):
    headers = {"Retry-After": value, "Date": date and formatdate(date, usegmt=True)}
    present = {name: text for name, text in headers.items() if text is not None}
    return read_retry_after(CIMultiDict(present), words, now)


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("17", None, 17.0),
        ("0", None, 0.0),
        ("86400", None, 86_400.0),
        (formatdate(NOW + 20, usegmt=True), None, 20.0),
        (formatdate(NOW + 20, usegmt=True), NOW + 5, 15.0),
        (formatdate(NOW - 20, usegmt=True), NOW, 1.0),
        (formatdate(NOW, usegmt=True), NOW, 1.0),
    ],
)
def test_seconds_or_a_date(value, date, seconds):
    """A date counts by the platform's own clock, and is never a wait of nothing."""
    assert waited(value, date=date) == RetryAfter(seconds)


@pytest.mark.parametrize(
    "value", ["1795000017", "86401", "soon", "nan", "1e999", formatdate(NOW + 9e5, usegmt=True)]
)
def test_a_wait_that_is_nonsense_is_reported_and_not_made(value):
    """A time since the epoch, or a date far away; the words of the refusal may have the seconds."""
    assert waited(value) == RetryAfter(None, value)
    words = "Rate limit exceeded the maximum. Retry the request in [41] seconds"
    assert waited(value, words=words) == RetryAfter(41.0, value)


def test_without_a_header_the_words_count():
    """If they have seconds that are believed."""
    assert waited(None) == RetryAfter()
    assert waited(None, words="Retry the request in [7] seconds") == RetryAfter(7.0)
    assert waited(None, words="Retry the request in [7777777] seconds") == RetryAfter()


def test_a_date_without_any_clock_is_reported():
    """Nothing is guessed."""
    value = formatdate(NOW, usegmt=True)
    assert waited(value, now=None) == RetryAfter(None, value)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=60))
def test_whatever_is_in_the_headers_the_wait_is_bounded(value, date, words):
    """No value crashes, and none holds a client for ever."""
    found = read_retry_after(CIMultiDict({"Retry-After": value, "Date": date}), words, NOW)
    assert found.seconds is None or 0.0 <= found.seconds <= LONGEST_WAIT_SECONDS


def test_a_window_that_ends_in_years_is_not_believed():
    """Its reset is a time since the epoch."""
    names = ("inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset")
    assert parse_quota(dict(zip(names, ("1", "300", "59"), strict=True))) is not None
    assert parse_quota(dict(zip(names, ("1", "300", "1795000059"), strict=True))) is None
