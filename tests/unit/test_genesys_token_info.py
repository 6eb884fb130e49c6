"""What tokens/me reports, compared with what the calls need."""

import pytest

from dispatcher.app.authorization_report import grant_findings
from dispatcher.domain.answer import GrantKind
from dispatcher.engine.authorization import halt_reason
from dispatcher.platforms.genesys.permissions import READ, SCOPES, SEND
from dispatcher.platforms.genesys.token_info import UNREAD, parse_token_info
from dispatcher.platforms.grants import RequiredGrants, RoleDivision, TokenInfo
from dispatcher.platforms.missing_grants import GENESYS_PAGES

ROLES = [{"roleId": "r-1", "divisionId": "d-1"}, {"roleId": "r-1", "divisionId": "*"}]
BODY = {
    "organization": {"id": "o-1", "name": "Example Org"},
    "homeOrganization": {"id": "o-1", "name": "Example Org"},
    "authorizedScope": ["conversations", "analytics:readonly"],
    "dateTokenIdles": "2026-11-22T10:00:00.000Z",
    "OAuthClient": {
        "id": "c-1",
        "name": "dispatcher",
        "authorizedGrantType": "CLIENT-CREDENTIALS",
        "scope": ["conversations", "analytics:readonly"],
        "roleDivisions": ROLES,
        "state": "active",
    },
}
NEEDS = RequiredGrants((SCOPES, ()), (SEND, READ), GENESYS_PAGES)


def changed(**changes):
    """The body with changes to the client, and at the top where they have their names there."""
    top = {key: changes.pop(key) for key in ("authorizedScope", "organization") if key in changes}
    return {**BODY, **top, "OAuthClient": {**BODY["OAuthClient"], **changes}}


def judged(body):
    return NEEDS.evaluate(7, parse_token_info(body))


def test_a_whole_answer_is_read():
    """Scopes, roles with their divisions, and whose client it is."""
    granted = parse_token_info(BODY)
    assert granted.scopes == ("conversations", "analytics:readonly")
    assert granted.roles == (RoleDivision("r-1", "d-1"), RoleDivision("r-1", "*"))
    about = "organisation Example Org (o-1), client dispatcher (c-1), 1 role in 2 divisions"
    assert granted.about == about
    authority = judged(BODY)
    assert (authority.token, authority.missing_names) == (7, ())
    assert (authority.granted, authority.scopes_known) == (granted.scopes, True)
    assert authority.required == (
        "scope conversations or messaging",
        f"permission {SEND}",
        f"permission {READ}",
    )


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        (["conversations"], ()),
        (["messaging", "x"], ()),
        (["conversations:readonly", "analytics"], ("conversations or messaging",)),
    ],
)
def test_scopes_are_held_against_the_needed_ones(scopes, missing):
    """Any one of the needed names will do, and nothing that only begins like it."""
    authority = judged(changed(authorizedScope=scopes, scope=[]))
    assert authority.missing_names == missing
    assert all(grant.where == GENESYS_PAGES[GrantKind.SCOPE] for grant in authority.missing_grants)


@pytest.mark.parametrize("none", [[], None, "conversations", {}])
def test_a_client_without_scopes_is_not_limited_by_them(none):
    """Organisations do not enforce scopes unless they choose to; then roles alone decide."""
    authority = judged(changed(authorizedScope=none, scope=none))
    assert (authority.missing_names, authority.scopes_known) == ((), False)


def test_the_clients_own_scopes_replace_those_of_the_token():
    """If the token's are not reported."""
    assert judged(changed(authorizedScope=None, scope=["analytics"])).missing_names == (
        "conversations or messaging",
    )


def test_a_client_without_a_role_lacks_every_permission_for_sure():
    """Which ones a role has cannot be read, but no role has none."""
    authority = judged(changed(roleDivisions=[]))
    (lack,) = authority.missing_grants
    assert (lack.kind, lack.where) == (GrantKind.PERMISSION, GENESYS_PAGES[GrantKind.PERMISSION])
    assert SEND in lack.name
    reason, words = halt_reason(authority)
    assert reason == "permission"
    assert GENESYS_PAGES[GrantKind.PERMISSION] in words


def test_a_missing_scope_is_the_reason_where_roles_are_missing_too():
    """Both are reported; the next token can prove a scope."""
    reason, words = halt_reason(judged(changed(roleDivisions=[], authorizedScope=["analytics"])))
    assert reason == "scope"
    assert SEND in words
    assert "conversations or messaging" in words


@pytest.mark.parametrize(
    ("scopes", "missing", "known"),
    [
        (("messaging",), (), True),
        ((), ("conversations or messaging",), True),
        (None, (), False),
    ],
)
def test_scopes_that_came_with_the_token_are_compared_if_they_are_known(scopes, missing, known):
    """An empty list is no scope; only unknown scopes are not missing."""
    authority = NEEDS.evaluate(3, TokenInfo(scopes))
    assert (authority.missing_names, authority.scopes_known) == (missing, known)


@pytest.mark.parametrize(
    "body",
    [{}, {"OAuthClient": None, "organization": 3}, {"OAuthClient": {"roleDivisions": None}}],
)
def test_what_is_not_known_is_not_missing(body):
    """An answer that is thin, or no answer at all, is no proof of anything."""
    assert judged(body).missing_names == ()
    assert NEEDS.evaluate(1, UNREAD).missing_names == ()
    assert not NEEDS.evaluate(1, UNREAD).scopes_known


def test_a_client_that_is_not_active_stands_out_and_its_name_cannot_steer_a_terminal():
    """Names are others' words."""
    granted = parse_token_info(changed(state="disabled", name="a\x1b[31m\nb"))
    assert "the client is disabled" in granted.about
    assert granted.about.isprintable()


def test_every_missing_grant_is_a_line_of_its_own_with_where_to_grant_it():
    """As `check --online` shows them."""
    grants = judged(changed(roleDivisions=[], authorizedScope=["analytics"]))
    findings = list(grant_findings(grants))
    wrong = [(finding.what, finding.detail) for finding in findings if not finding.ok]
    assert [what for what, _ in wrong] == ["scopes", "permissions"]
    assert GENESYS_PAGES[GrantKind.SCOPE] in wrong[0][1]
    assert GENESYS_PAGES[GrantKind.PERMISSION] in wrong[1][1]
    required = next(finding.detail for finding in findings if finding.what == "required")
    assert SEND in required
    assert "403" in required
