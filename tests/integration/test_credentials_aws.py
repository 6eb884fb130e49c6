"""Credentials from AWS Secrets Manager, against moto's server."""

import logging
import traceback
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from dispatcher.app.credentials import make_credentials
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    CredentialsError,
    CredentialsUnavailableError,
)
from dispatcher.settings import CredentialsSettings
from tests.support.aws import IDENTITY, REGION, secrets_manager
from tests.support.rawserver import FakeClock, json_answer, raw_server

pytestmark = pytest.mark.xdist_group("credentials")
NAME = "dispatcher/platform"
PAIR = {"client_id": "id-4N", "client_secret": "secret-8W"}
SET_BY_AWS = ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN")


@pytest.fixture(scope="module")
def aws():
    with secrets_manager() as running:
        yield running


@pytest.fixture(autouse=True)
def identity(monkeypatch, tmp_path):
    """The environment as AWS sets it, and nothing of this machine's."""
    for name in SET_BY_AWS:
        monkeypatch.delenv(name, raising=False)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@asynccontextmanager
async def source(aws, clock=None, **section):
    usual = {"aws_secret_id": NAME, "aws_region": REGION, "aws_endpoint_url": aws.url}
    settings = CredentialsSettings(source="aws", **usual | section)
    async with AsyncExitStack() as stack:
        yield make_credentials(settings, stack, {}, clock or FakeClock())


async def test_a_client_and_its_rotation(aws):
    """The newest version is read after a refusal."""
    aws.write(NAME, PAIR)
    async with source(aws) as it:
        old = await it.get()
        assert old == ClientCredentials("id-4N", "secret-8W")
        assert old.where == f"the secret {NAME} of AWS Secrets Manager"
        aws.write(NAME, PAIR | {"client_secret": "secret-9X"})
        assert (await it.get(), (await it.refresh(old)).client_secret) == (old, "secret-9X")


async def test_a_bearer_token(aws):
    """With what it grants, and until when."""
    aws.write(NAME, {"token": "token-1", "scope": "a b", "expires_at": 1_795_341_600})
    async with source(aws) as it:
        assert await it.get() == BearerToken("token-1", ("a", "b"), 1_795_341_600.0)


WRONG = {
    "no such secret": ({"aws_secret_id": "none"}, PAIR, "ResourceNotFoundException"),
    "no JSON": ({}, "secret-8W", "not a JSON object"),
    "no such field": ({}, {"password": "secret-8W"}, '"client_id" and "client_secret", or "token"'),
    "no region": ({"aws_region": ""}, PAIR, "credentials.aws_region or AWS_REGION"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_set_up_names_what_to_check(aws, name):
    """In one line, without what is secret."""
    section, value, words = WRONG[name]
    aws.write(NAME, value)
    async with source(aws, **section) as it:
        with pytest.raises(CredentialsError) as caught:
            await it.get()
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert "secret-8W" not in str(caught.value)


async def test_no_identity(aws, monkeypatch):
    """No role, no profile, no key: the message says what to give."""
    for name in IDENTITY:
        monkeypatch.delenv(name)
    async with source(aws) as it:
        with pytest.raises(CredentialsError, match="AWS_ACCESS_KEY_ID"):
            await it.get()


REFUSED = {
    "AccessDeniedException": (400, CredentialsError, "secretsmanager:GetSecretValue"),
    "ThrottlingException": (400, CredentialsUnavailableError, "does not answer now"),
    "InternalServiceError": (500, CredentialsUnavailableError, "does not answer now"),
}


@pytest.mark.parametrize("code", REFUSED)
async def test_refusals_and_passing_faults(aws, code):
    """A refusal is a wrong set-up; what passes is asked again by the engine, not by the library."""
    status, error, words = REFUSED[code]

    async def handler(_request, peer):
        await peer.say(json_answer(status, {"__type": code, "message": "secret-8W"}))

    async with raw_server(handler) as server, source(aws, aws_endpoint_url=server.url) as it:
        with pytest.raises(error) as caught:
            await it.get()
        assert len(server.requests) == 1
    assert words in str(caught.value)
    assert "secret-8W" not in str(caught.value)


async def test_an_endpoint_that_is_not_there(aws):
    """It may be there later."""
    async with source(aws, aws_endpoint_url="http://127.0.0.1:1") as it:
        with pytest.raises(CredentialsUnavailableError, match="cannot be reached"):
            await it.get()


async def test_nothing_secret_is_shown(aws, caplog):
    """Boto's own log at the level of debugging has whole answers in it: it is kept quiet."""
    aws.write(NAME, PAIR)
    caplog.set_level(logging.DEBUG)
    async with source(aws) as it:
        found = await it.get()
        shown = [repr(it), repr(vars(it)), repr(found), str(found)]
        aws.write(NAME, '{"client_secret": "secret-8W"')
        with pytest.raises(CredentialsError) as caught:
            await it.refresh(found)
        shown += ["".join(traceback.format_exception(caught.value)), repr(vars(caught.value))]
        assert caught.value.__context__ is None
    secrets = [*PAIR.values(), IDENTITY["AWS_SECRET_ACCESS_KEY"]]
    for text in [*shown, caplog.text]:
        assert not [secret for secret in secrets if secret in text]
