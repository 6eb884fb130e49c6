"""What a token endpoint answers: a token, a refusal, a fault, or another server."""

import pytest
from multidict import CIMultiDict

from dispatcher.domain.answer import NoAnswer, NoAnswerCause
from dispatcher.platforms.access_token import AccessToken, TokenRefusal
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.token_response import TokenAddress, parse_token
from dispatcher.ports import TokenUnavailableError, WrongAddressError

GENESYS = TokenAddress("https://login.mypurecloud.de", "platform.region", "mypurecloud.de")
OTHER = TokenAddress("https://api.example.com")


def parsed(status, body, address=GENESYS):
    return parse_token(HttpResponse(status, CIMultiDict(), body), address, 5.0, 2, "the secret x")


@pytest.mark.parametrize(
    ("status", "description"),
    [(400, ""), (400, "client not found"), (401, "Client not found: 123")],
)
def test_a_client_that_the_host_does_not_know_is_of_another_region(status, description):
    """The region is the first thing to check, the secret the last."""
    found = parsed(status, {"error": "invalid_client", "description": description})
    assert isinstance(found, TokenRefusal)
    parts = ("does not know the client", "platform.region", "(mypurecloud.de now)", "the secret x")
    positions = [found.message.index(part) for part in parts]
    assert positions == sorted(positions)


def test_a_wrong_secret_is_told_apart():
    """Where it is kept is the first thing to check."""
    body = {"error": "invalid_client", "description": "authentication failed"}
    message = parsed(401, body).message
    assert message.startswith(
        "the platform refused the client credentials (401 invalid_client): check the secret x"
    )
    assert "does not know" not in message


@pytest.mark.parametrize("status", [400, 401, 403])
def test_without_regions_the_credentials_are_checked(status):
    """The dialect `messaging` has one host."""
    message = parsed(status, {"error": "invalid_client"}, OTHER).message
    assert message.endswith("check the secret x")
    assert "region" not in message


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 405, 410, 501])
def test_a_page_instead_of_json_is_another_server(status):
    """The setting to correct is named, and the address once."""
    with pytest.raises(WrongAddressError) as caught:
        parsed(status, None)
    words = str(caught.value)
    assert (str(status) in words, "platform.region" in words) == (True, True)
    assert words.count("login.mypurecloud.de") == 1


@pytest.mark.parametrize("status", [200, 404, 405, 501])
def test_json_without_a_token_is_another_server_too(status):
    """Many web servers answer in JSON."""
    with pytest.raises(WrongAddressError, match=r"check platform\.base_url"):
        parsed(status, {"detail": "Not Found"}, OTHER)


@pytest.mark.parametrize("body", [None, {"message": "later"}])
@pytest.mark.parametrize("status", [407, 408, 429, 500, 502, 503, 504])
def test_a_fault_may_pass(status, body):
    """A proxy sends such statuses, too, and as pages."""
    with pytest.raises(TokenUnavailableError, match=f"answered {status}") as caught:
        parsed(status, body)
    assert not isinstance(caught.value, WrongAddressError)


@pytest.mark.parametrize("cause", [NoAnswerCause.NOT_SENT, NoAnswerCause.RESET])
@pytest.mark.parametrize("wrong", [True, False])
def test_no_answer(cause, wrong):
    """Only what is no HTTP or no TLS shows a wrong address; the rest may pass."""
    result = NoAnswer(cause, "some words", wrong_address=wrong)
    with pytest.raises(TokenUnavailableError, match="some words") as caught:
        parse_token(result, GENESYS, 0.0, 1, "x")
    assert isinstance(caught.value, WrongAddressError) is wrong


def test_a_token():
    """Its lifetime is the response's."""
    found = parsed(200, {"access_token": "t", "expires_in": 600, "scope": "a b"})
    assert isinstance(found, AccessToken)
    assert (found.number, found.expires_at, found.info.scopes) == (2, 600.0, ("a", "b"))
