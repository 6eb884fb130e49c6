"""Five lines for a shell that show what people ask about first, against a running sandbox."""

from collections.abc import Iterator
from shlex import quote
from typing import NamedTuple

import orjson

from dispatcher.sandbox.scenario.scenario import Scenario

_OPEN_PATH = "/api/v2/conversations/messaging"
_SEND_PATH = "/api/v2/conversations/messages/agentless"
_TOKEN_PATHS = {"messaging": "/api/v2/oauth/token", "genesys": "/oauth/token"}
_READ = {"messaging": "conversations:messaging:read", "genesys": "conversations:readonly"}
_ONE = "-1"


class CurlLine(NamedTuple):
    """A line, and the question that its answer is the answer to."""

    question: str
    line: str


def token_line(scenario: Scenario, url: str) -> str:
    """Return the line that stores a token in a variable, for all others."""
    pair = quote(f"{scenario.token.client_id}:{scenario.token.client_secret}")
    path = url + _TOKEN_PATHS[scenario.dialect]
    return (
        f"TOKEN=$(curl -s -u {pair} -d grant_type=client_credentials {path}"
        """ | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"""
    )


def curl_lines(scenario: Scenario, url: str, control_url: str) -> list[CurlLine]:
    """Return the five lines for the scenario's dialect."""
    lines = _genesys if scenario.dialect == "genesys" else _messaging
    masked = _masked(scenario, url, control_url)
    last = "Why a 409 although the session has ended? The write scope is missing, and masked."
    return [*lines(url), CurlLine(last, masked)]


def _messaging(url: str) -> Iterator[CurlLine]:
    notify = f"{url}{_OPEN_PATH}/neverends{_ONE}/notifications"
    yield CurlLine("What does a closed session answer? 400.", _post(notify, {"text": "Hello"}))
    for question, body in (
        ("Why a 409? The previous session is still open.", _opening("active")),
        ("Why a 409? It is closed, but has not ended.", _opening("neverends")),
        ("Why a 409? The external contact is another one.",
         {**_opening("ended"), "externalContactId": "x-somebody-else"}),
    ):  # fmt: skip
        yield CurlLine(question, _post(url + _OPEN_PATH, body))


def _genesys(url: str) -> Iterator[CurlLine]:
    for question, body in (
        ("What does the channel answer that permits no first message? 400.", _message("channel")),
        ("Why a 409? The person has an open session.", _message("active")),
        ("Why a 409? The session that may be used is not active (the first time).",
         {**_message("notactive"), "useExistingActiveConversation": True}),
        ("Why a 409? Each message to this person is refused.", _message("loop")),
    ):  # fmt: skip
        yield CurlLine(question, _post(url + _SEND_PATH, body))


def _masked(scenario: Scenario, url: str, control_url: str) -> str:
    """Return a line that takes the write scope away, sends, and gives all scopes back."""
    scopes = f"{control_url}/sandbox/scopes"
    is_genesys = scenario.dialect == "genesys"
    path, body = (_SEND_PATH, _message("ended")) if is_genesys else (_OPEN_PATH, _opening("ended"))
    granted, mask = list(scenario.token.granted), scenario.token.mask
    revoke = f"curl -s {scopes} -d {_json({'granted': [_READ[scenario.dialect]], 'mask': True})}"
    grant = f"curl -s {scopes} -d {_json({'granted': granted, 'mask': mask})}"
    return f"{revoke}; {_post(url + path, body)}; {grant}"


def _post(url: str, body: object) -> str:
    headers = '-H "Authorization: Bearer $TOKEN"'
    return f"curl -s -w ' %{{http_code}}\\n' {headers} {url} -d {_json(body)}"


def _json(body: object) -> str:
    return quote(orjson.dumps(body).decode())


def _opening(kind: str) -> dict[str, object]:
    conversation_id = kind + _ONE
    return {
        "to": {"id": f"g-{conversation_id}", "type": "guest"},
        "message": {"text": "Hello"},
        "externalContactId": f"x-{conversation_id}",
        "previousConversationId": conversation_id,
    }


def _message(kind: str) -> dict[str, object]:
    return {
        "fromAddress": "deployment-1",
        "toAddressMessengerType": "webmessaging",
        "externalContactId": f"x-{kind}{_ONE}",
        "textBody": "Hello",
    }
