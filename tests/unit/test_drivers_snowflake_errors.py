"""What an error of Snowflake's connector means, and what is shown of it."""

import pytest

from dispatcher.drivers.snowflake.errors import describe
from dispatcher.drivers.snowflake.login import SnowflakeLogin
from tests.support.lazy_imports import Lazily

errors = Lazily("snowflake.connector.errors")


@pytest.mark.parametrize(
    ("kind", "code", "is_away", "words"),
    [
        ("OperationalError", 250001, True, "does not answer"),
        ("OperationalError", 250003, True, "does not answer"),
        ("InternalServerError", 290500, True, "does not answer"),
        ("ServiceUnavailableError", 290503, True, "does not answer"),
        ("ProgrammingError", 390112, True, "does not answer"),
        ("ProgrammingError", 390114, True, "does not answer"),
        ("DatabaseError", 250001, False, "check account"),
        ("DatabaseError", 390100, False, "check user, and the password"),
        ("DatabaseError", 390144, False, "RSA_PUBLIC_KEY"),
        ("DatabaseError", 390189, False, "GRANT ROLE"),
        ("ProgrammingError", 606, False, "ALTER WAREHOUSE"),
        ("ProgrammingError", 90073, False, "resource monitor"),
        ("ProgrammingError", 2003, False, "SELECT on the table"),
        ("ProgrammingError", 3001, False, "lacks a privilege"),
        ("ProgrammingError", 630, False, "timeout_seconds"),
        ("ProgrammingError", None, False, "refuses"),
    ],
)
def test_an_error(kind, code, is_away, words):
    """What is away is waited for; of the rest it is named what a person must mend."""
    found = describe(getattr(errors, kind)(msg="the\n  reason", errno=code))
    assert (found.is_away, words in str(found)) == (is_away, True)
    assert "the reason" in str(found)


def test_an_account_that_does_not_exist():
    """Its address answers 403."""
    assert "check account" in str(describe(errors.ForbiddenError(host="a.example.com")))


def test_no_secret_is_shown():
    """Neither by the login itself nor in a message of the connector."""
    login = SnowflakeLogin("a", "u", passphrase="pass-7S", password="word-8T")
    assert "pass-7S" not in repr(login)
    assert "word-8T" not in repr(login)
    assert login.hidden("with pass-7S and word-8T") == "with *** and ***"


def test_what_a_login_begins_with():
    """One part of a result is fetched ahead, and the statement has its own limit."""
    login = SnowflakeLogin("a", "u", private_key_file="key.p8", timeout_seconds=90)
    made = login.arguments()
    assert made["client_prefetch_threads"] == 1
    assert made["authenticator"] == "SNOWFLAKE_JWT"
    assert made["session_parameters"]["STATEMENT_TIMEOUT_IN_SECONDS"] == 90
    assert not {"host", "password", "private_key_file_pwd", "role"} & set(made)
