"""Further OAuth clients of the sandbox: with their own secrets, scopes and windows."""

from base64 import b64encode

import orjson
import pytest

from dispatcher.sandbox.oauth import MESSAGING
from dispatcher.sandbox.oauth_clients import make_clients
from dispatcher.sandbox.quota import Quota
from dispatcher.sandbox.scenario.model import ClientRules, RateRules, TokenRules
from dispatcher.sandbox.scenario.scenario import ScenarioError, load
from dispatcher.sandbox.scenario.value_types import READ_SCOPES

FORM = b"grant_type=client_credentials"


def basic(client_id, secret):
    return b"Basic " + b64encode(f"{client_id}:{secret}".encode())


def two():
    rules = (ClientRules("b", "sb", allowed=3), ClientRules("c", "sc", granted=READ_SCOPES))
    rate = RateRules(allowed=5, phase=0.0)
    return make_clients(
        rules, TokenRules(), MESSAGING, rate, lambda own, seed: Quota(own, seed, 100.0, 0.0)
    )


def bearer(clients, client_id, secret):
    issued = clients.find_secret(basic(client_id, secret)).grants.token_response(FORM, 100.0)
    return b"Bearer " + orjson.loads(issued.body)["access_token"].encode()


def test_a_token_belongs_to_the_client_that_it_was_issued_to():
    """A wrong secret, and a client of another name, are none of theirs."""
    clients = two()
    assert clients.find_token(bearer(clients, "b", "sb"), 101.0).client_id == "b"
    found = clients.find_token(bearer(clients, "c", "sc"), 101.0)
    assert (found.client_id, found.grants.may_write) == ("c", False)
    assert clients.find_secret(basic("b", "sc")) is None
    assert clients.find_secret(basic("sandbox-client", "sandbox-secret")) is None
    assert clients.find_token(b"Bearer nobody", 101.0) is None


def test_tokens_end_when_they_are_expired():
    """As those of the sandbox's own client do."""
    clients = two()
    token = bearer(clients, "b", "sb")
    clients.expire_all()
    assert clients.find_token(token, 101.0) is None


def test_every_client_has_a_window_of_its_own():
    """What one takes is not missing to the other."""
    clients = two()
    taken = [clients.find_id("b").quota.take(101.0) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert all(clients.find_id("c").quota.take(101.0) for _ in range(5))
    (window,) = clients.report(101.0)["b"]["windows"]
    assert (window["accepted"], window["refused"]) == (3, 2)


def test_a_scenario_names_every_mistake_of_a_client():
    """Id and secret are needed; an empty list is none."""
    with pytest.raises(ScenarioError) as raised:
        load({"clients": [{"client_id": "b", "alowed": 3}]})
    text = "\n".join(raised.value.mistakes)
    assert "clients[1].client_secret: is missing" in text
    assert "did you mean 'allowed'?" in text
    assert load({"clients": []}).clients == ()
