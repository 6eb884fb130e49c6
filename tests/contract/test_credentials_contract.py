"""What every credential source promises, whatever it reads from."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher.app.credentials import make_credentials
from dispatcher.engine.clock import SystemClock
from dispatcher.ports import BearerToken, ClientCredentials, CredentialsError
from dispatcher.settings import CredentialsSettings
from tests.support.aws import IDENTITY, REGION, secrets_manager
from tests.support.openbao import openbao

PATH = "dispatcher/contract"


@dataclass
class Place:
    """Where credentials are kept: how to describe it in the settings, and how to change it."""

    section: dict[str, Any]
    write: Callable[[dict[str, str]], None]
    env: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def source(self):
        secrets = {name: SecretStr(value) for name, value in self.env.items()}
        async with AsyncExitStack() as stack:
            section = CredentialsSettings(**self.section)
            yield make_credentials(section, stack, secrets, SystemClock())


def env(_request):
    variables: dict[str, str] = {}

    def write(secret):
        variables.update({f"DISPATCHER_{name.upper()}": value for name, value in secret.items()})

    return Place({"source": "env"}, write, variables)


def files(request):
    folder = request.getfixturevalue("tmp_path")

    def write(secret):
        for name, value in secret.items():
            (folder / name).write_text(value + "\n")

    names = {f"{name}_file": str(folder / name) for name in ("client_id", "client_secret")}
    return Place({"source": "file", **names}, write)


def token_file(request):
    path = request.getfixturevalue("tmp_path") / "token"
    section = {"source": "file", "token_file": str(path)}
    return Place(section, lambda secret: path.write_text(secret["token"] + "\n"))


def vault(request):
    bao = request.getfixturevalue("bao")
    section = {"vault_address": bao.url, "vault_ca_bundle": bao.ca_bundle, "vault_path": PATH}
    token = {"VAULT_TOKEN": bao.admin.token}
    write = lambda secret: bao.write(PATH, **secret)  # noqa: E731 - shortest so
    return Place({"source": "vault", **section}, write, token)


def aws(request):
    for name, value in IDENTITY.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)
    server = request.getfixturevalue("manager")
    section = {"aws_secret_id": PATH, "aws_region": REGION, "aws_endpoint_url": server.url}
    return Place({"source": "aws", **section}, lambda secret: server.write(PATH, secret))


@pytest.fixture(scope="module")
def bao(tmp_path_factory):
    with openbao(tmp_path_factory.mktemp("bao")) as running:
        yield running


@pytest.fixture(scope="module")
def manager():
    with secrets_manager() as running:
        yield running


pytestmark = pytest.mark.xdist_group("credentials")
OLD, NEW = ({"client_id": f"id-{n}", "client_secret": f"hush-{n}"} for n in "AB")
OLD_TOKEN, NEW_TOKEN = {"token": "hush-C"}, {"token": "hush-D"}
KINDS = [
    pytest.param(env, OLD, OLD, id="env"),
    pytest.param(files, OLD, NEW, id="files"),
    pytest.param(token_file, OLD_TOKEN, NEW_TOKEN, id="token file"),
    pytest.param(vault, OLD, NEW, id="vault"),
    pytest.param(vault, OLD_TOKEN, NEW_TOKEN, id="vault token"),
    pytest.param(aws, OLD, NEW, id="aws"),
    pytest.param(aws, OLD_TOKEN, NEW_TOKEN, id="aws token"),
]
of_every_kind = pytest.mark.parametrize(("kind", "old", "new"), KINDS)


def credentials(secret):
    if "token" in secret:
        return BearerToken(secret["token"])
    return ClientCredentials(secret["client_id"], secret["client_secret"])


@of_every_kind
async def test_what_is_there_is_returned_and_what_is_new_after_a_refusal(request, kind, old, new):
    """Equal credentials come back where nothing is new; the environment never changes."""
    place = kind(request)
    place.write(old)
    async with place.source() as source:
        found = await source.get()
        assert found == credentials(old) == await source.refresh(found)
        place.write(new)
        assert await source.refresh(found) == credentials(new) == await source.get()


@of_every_kind
async def test_many_ask_at_a_time_and_some_go_away(request, kind, old, new):
    """A call that is not cancelled returns."""
    place = kind(request)
    place.write(old)
    async with place.source() as source:
        calls = [asyncio.create_task(source.get()) for _ in range(12)]
        await asyncio.sleep(0)
        for task in calls[::3]:
            task.cancel()
        found = await asyncio.gather(*calls, return_exceptions=True)
        stayed = [found_one for number, found_one in enumerate(found) if number % 3]
        assert set(stayed) == {credentials(old)}


@of_every_kind
async def test_the_place_is_shown_and_no_secret(request, kind, old, new, caplog):
    """In reprs and at the level of debugging; the place helps to correct it."""
    place = kind(request)
    place.write(old)
    caplog.set_level(logging.DEBUG)  # a place's own client may log what the test writes
    async with place.source() as source:
        found = await source.get()
        shown = repr(found) + str(found) + repr(source) + caplog.text
    assert found.where in repr(found)
    assert "hush" not in shown


@of_every_kind
async def test_nothing_is_there(request, kind, old, new):
    """The message says where, and it is no passing fault."""
    place = kind(request)
    place.write(dict.fromkeys(old, ""))
    async with place.source() as source:
        with pytest.raises(CredentialsError) as caught:
            await source.get()
    assert any(word in str(caught.value) for word in ("DISPATCHER_", "credentials."))
