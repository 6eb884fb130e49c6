"""Credentials from variables and files, and the threads beside the event loop."""

import os
import threading
from contextlib import suppress

import pytest

from dispatcher.credentials.blocking import MOST_THREADS, BlockingCaller
from dispatcher.credentials.env import EnvCredentialSource
from dispatcher.credentials.file import FileCredentialSource, read_secret
from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.secret_fields import SecretFields, parse_secret
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    CredentialsError,
    CredentialsUnavailableError,
)


async def test_variables_of_a_client_of_its_own():
    """White space around a value is not a part of it; a missing variable is named."""
    names = ("DISPATCHER_CLIENT_ID__A", "DISPATCHER_CLIENT_SECRET__A")
    env = {names[0]: " id\n", names[1]: "hush "}
    assert await EnvCredentialSource(env, names).get() == ClientCredentials("id", "hush")
    with pytest.raises(CredentialsError, match="DISPATCHER_CLIENT_SECRET__A is not set"):
        await EnvCredentialSource(env | {names[1]: " "}, names).get()


async def test_files_are_read_for_every_call(tmp_path):
    """A line end behind a value is not a part of it."""
    files = {name: tmp_path / name for name in ("client_id_file", "client_secret_file")}
    for path in files.values():
        path.write_text(f"{path.name}-1\r\n")
    source = FileCredentialSource(files, 5.0)
    found = await source.get()
    assert found == ClientCredentials("client_id_file-1", "client_secret_file-1")
    assert found.where == f"{tmp_path}/client_id_file and {tmp_path}/client_secret_file"
    files["client_secret_file"].write_text("2")
    assert (await source.get()).client_secret == "2"


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    """With its setting and the reason, and nothing of what is in it."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"hush\xff")
    for name, reason in (("empty", "empty"), ("bytes", "UTF-8"), ("none", "No such file"),
                         ("", "Is a directory")):  # fmt: skip
        with pytest.raises(CredentialsError) as caught:
            read_secret(tmp_path / name, "credentials.token_file")
        assert str(caught.value).startswith(f"credentials.token_file: {tmp_path / name} cannot")
        assert reason in str(caught.value)
        assert "hush" not in str(caught.value)
        assert caught.value.__context__ is None


async def test_a_token_that_no_header_can_carry(tmp_path):
    """It is a mistake of the file, named without the token."""
    path = tmp_path / "token"
    for value in ("hush hush", "húsh", "hush\x01"):
        path.write_text(value)
        with pytest.raises(CredentialsError, match="one word of ASCII") as caught:
            await FileCredentialSource({"token_file": path}, 5.0).get()
        assert value not in str(caught.value)


async def test_a_file_that_nobody_writes_holds_up_nobody(tmp_path):
    """A named pipe: it is given up in time, and so are a few more; then no thread is begun."""
    os.mkfifo(tmp_path / "pipe")
    source = FileCredentialSource({"token_file": tmp_path / "pipe"}, 0.05)
    for _ in range(MOST_THREADS):
        with pytest.raises(CredentialsUnavailableError, match="did not answer"):
            await source.get()
    with pytest.raises(CredentialsUnavailableError, match="has not answered earlier calls"):
        await source.get()
    for thread in threading.enumerate():
        if thread.name.startswith("credentials"):
            with suppress(OSError):
                os.close(os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK))
            thread.join(5)
            assert not thread.is_alive()


async def test_a_translation_that_fails_ends_the_wait():
    """Its own failure is what the caller gets."""

    def translate(error):
        raise LookupError("no translation")

    with pytest.raises(LookupError):
        await BlockingCaller("x", 5.0, translate).call(lambda: 1 // 0)


SECRETS = {
    "client": ({"client_id": "i", "client_secret": "s"}, ClientCredentials("i", "s")),
    "token": ({"token": "t", "client_id": "i"}, BearerToken("t")),
    "token with all": (
        {"token": "t", "scope": "", "expires_at": "12.5"}, BearerToken("t", (), 12.5),
    ),
    "an end without a zone is in UTC": (
        {"token": "t", "expires_at": "1970-01-02T00:00:00"}, BearerToken("t", None, 86400.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_what_a_secret_may_hold(name):
    """A client or a token, and what is known of the token."""
    secret, expected = SECRETS[name]
    assert parse_secret(secret, SecretFields(), "the safe") == expected


WRONG = {
    "both": {"token": "hush", "client_id": "i", "client_secret": "hush"},
    "a half": {"client_secret": "hush"},
    "no texts": {"client_id": 1, "client_secret": "hush"},
    "an end that is none": {"token": "hush", "expires_at": "hush"},
    "an end of another type": {"token": "hush", "expires_at": True},
    "scopes of another type": {"token": "hush", "scope": {"hush": 1}},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_secret_must_not_hold(name):
    """The message names the place and the field, and no value."""
    with pytest.raises(CredentialsError) as caught:
        parse_secret(WRONG[name], SecretFields(), "the safe")
    assert "the safe" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_field_with_an_empty_name_is_ignored():
    """So a secret with both a token and a client can be used."""
    found = parse_secret(WRONG["both"], SecretFields(token=""), "the safe")
    assert found == ClientCredentials("i", "hush")


def test_a_library_that_is_missing_names_its_extra():
    """It says what to install."""
    with pytest.raises(CredentialsError, match=r"pip install 'dispatcher\[aws\]'"):
        import_optional("no_such_library", "aws")
