"""OAuth of the sandbox: clients, tokens and scopes."""

from base64 import b64encode

import pytest

from dispatcher.sandbox.oauth import Grants
from dispatcher.sandbox.scenario.model import TokenRules
from dispatcher.sandbox.scenario.value_types import READ_SCOPES, WRITE_SCOPES

FORM = b"grant_type=client_credentials"


def issue(grants, scope="", now=0.0):
    issued = grants.issue(FORM + b"&scope=" + scope.encode(), now)
    return issued, b"Bearer " + issued["access_token"].encode()


def test_only_the_right_client_is_known():
    grants = Grants(TokenRules(client_id="me", client_secret="pass"))
    assert grants.matches_secret(b"Basic " + b64encode(b"me:pass"))
    assert not grants.matches_secret(b"Basic " + b64encode(b"me:word"))
    assert not grants.matches_secret(b"")


def test_a_token_has_the_scopes_that_are_requested_and_granted():
    grants = Grants(TokenRules(granted=(READ_SCOPES[0],)))
    issued, header = issue(grants, f"{READ_SCOPES[0]}+{WRITE_SCOPES[0]}")
    assert issued["scope"] == READ_SCOPES[0]
    token = grants.find(header, 0.0)
    assert (token.can_read, token.can_write) == (True, False)
    assert issue(grants)[0]["scope"] == READ_SCOPES[0]
    assert grants.issue(b"grant_type=password", 0.0) is None


@pytest.mark.parametrize("name", WRITE_SCOPES)
def test_either_name_of_the_write_scope_permits_sends(name):
    grants = Grants(TokenRules(granted=(name,)))
    assert grants.find(issue(grants)[1], 0.0).can_write


def test_a_revoked_scope_takes_effect_on_issued_tokens_and_comes_back_to_them():
    grants = Grants(TokenRules())
    token = grants.find(issue(grants)[1], 0.0)
    grants.change(READ_SCOPES, True)
    assert (token.can_write, grants.may_write, grants.mask) == (False, False, True)
    poor = grants.find(issue(grants)[1], 0.0)
    grants.change(READ_SCOPES + WRITE_SCOPES, None)
    assert (token.can_write, poor.can_write, grants.mask) == (True, False, True)


def test_tokens_can_die_earlier_than_they_claim():
    grants = Grants(TokenRules(expires_in=3600, lives=3.0))
    issued, header = issue(grants)
    assert issued["expires_in"] == 3600
    assert grants.find(header, 2.9) is not None
    assert grants.find(header, 3.0) is None
    issue(grants, now=500.0)
    assert len(grants._tokens) == 1
    grants.expire_all()
    assert grants._tokens == {}
