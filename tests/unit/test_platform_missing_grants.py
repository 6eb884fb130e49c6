"""What is read from the body of a 403, and what a platform's own words are not taken for."""

import pytest

from dispatcher.domain.answer import GrantKind, MissingGrant
from dispatcher.domain.status import Step
from dispatcher.platforms.http import HttpResponse
from dispatcher.platforms.messaging import read_answer
from dispatcher.platforms.missing_grants import (
    CODES,
    GENESYS_PAGES,
    MESSAGING_PAGES,
    missing_grants,
    missing_kind,
    missing_names,
)

SEND, VIEW = "conversation:message:create", "analytics:conversationDetail:view"
UNABLE = "Unable to perform the requested action."
MISSING = f"{UNABLE} You are missing the following permission(s): "


def body(code, message="", **more):
    return {"code": code, "message": message, "status": 403, "details": [], "errors": [], **more}


BODIES = {
    "one permission": (
        body("missing.permissions", f"{MISSING}{SEND}"),
        (GrantKind.PERMISSION, (SEND,)),
    ),
    "two in brackets": (
        body("missing.permissions", f"{MISSING}[{SEND}, {VIEW}]"),
        (GrantKind.PERMISSION, (SEND, VIEW)),
    ),
    "any of some": (
        body(
            "missing.any.permissions",
            f"{UNABLE} You must have at least one of the following permissions assigned: {SEND}.",
        ),
        (GrantKind.PERMISSION, (SEND,)),
    ),
    "parameters apart from the message": (
        body(
            "missing.permissions",
            messageWithParams=f"{MISSING}{{permissions}}",
            messageParams={"permissions": f"[{SEND}, {VIEW}]"},
        ),
        (GrantKind.PERMISSION, (SEND, VIEW)),
    ),
    "parameters in a list": (
        body("missing.any.permissions", messageParams={"permissions": [SEND]}),
        (GrantKind.PERMISSION, (SEND,)),
    ),
    "no name": (body("missing.permissions", "Missing permission"), (GrantKind.PERMISSION, ())),
    "upper case": (body("MISSING.PERMISSIONS"), (GrantKind.PERMISSION, ())),
    "a division by its code": (
        body("missing.division.permissions", f"{MISSING}{SEND}"),
        (GrantKind.DIVISION, (SEND,)),
    ),
    "a division by the words beside a permission": (
        body("missing.permissions", f"{UNABLE} You lack {SEND} in division Sales"),
        (GrantKind.DIVISION, (SEND,)),
    ),
    "a division by the words alone": (
        body("not.authorized", "The conversation is in a division that you cannot reach"),
        (GrantKind.DIVISION, ()),
    ),
    "a scope by OAuth's error": (
        {"error": "insufficient_scope", "message": "needs conversations:messaging:write"},
        (GrantKind.SCOPE, ("conversations:messaging:write",)),
    ),
    "a scope by the words": (
        body("forbidden", "Token missing required scope: conversations:messaging:write"),
        (GrantKind.SCOPE, ("conversations:messaging:write",)),
    ),
    "a plain word as parameter": (
        body("missing.scopes", messageParams={"scope": "conversations"}),
        (GrantKind.SCOPE, ("conversations",)),
    ),
    "an error inside": (
        body("general.error", errors=[body("missing.permissions", f"{MISSING}{SEND}")]),
        (GrantKind.PERMISSION, (SEND,)),
    ),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=list(BODIES))
def test_a_body_names_what_is_missing_and_its_names(body, expected):
    """Codes first, then words; names from the parameters or from the message."""
    assert (missing_kind(body), missing_names(body)) == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        body("not.authorized", "You are not authorized to perform the requested action."),
        body("forbidden", "You do not have permission to use this telescope"),
        body("forbidden", "Neither your scopes nor your permissions will do"),
        {"code": 403, "message": None, "errors": "none", "messageParams": []},
        {"code": None, "errors": [None, 1, "missing.permissions"]},
    ],
)
def test_a_body_that_names_nothing_changes_nothing(body):
    """Then nothing is lacking by name either."""
    assert missing_kind(body) is None
    assert missing_grants(body, MESSAGING_PAGES) == ()


@pytest.mark.parametrize("code", CODES)
def test_every_known_code_comes_with_the_page_where_it_is_granted(code):
    """A refusal that names nothing still says where to look."""
    (found,) = missing_grants(body(code), GENESYS_PAGES)
    assert found == MissingGrant(CODES[code], "", GENESYS_PAGES[CODES[code]])


def test_names_are_few_and_nothing_but_names():
    """Ids, addresses and times in the words are not taken for permissions."""
    words = "at 10:15:20 see https://host:8080/x and " + " ".join(f"a:b:c{n}" for n in range(9))
    assert missing_names(body("missing.permissions", words)) == tuple(f"a:b:c{n}" for n in range(5))


def test_only_a_403_is_read_for_what_is_missing():
    """A 400 with the same words is the contact's own refusal."""
    forbidden = body("missing.permissions", f"{MISSING}{SEND}")
    refused = read_answer(Step.OPEN, HttpResponse(403, {}, forbidden))
    assert refused.missing_kind is GrantKind.PERMISSION
    assert refused.missing_grants == (
        MissingGrant(GrantKind.PERMISSION, SEND, MESSAGING_PAGES[GrantKind.PERMISSION]),
    )
    other = read_answer(Step.OPEN, HttpResponse(400, {}, forbidden))
    assert (other.missing_kind, other.missing_grants) == (None, ())
