"""Credentials from a real OpenBao server: logins, rotation, seals, and what goes wrong."""

import asyncio
import json
import logging
import traceback
from base64 import urlsafe_b64encode
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from dispatcher.app.credentials import make_credentials
from dispatcher.credentials import vault
from dispatcher.credentials.vault import VaultCredentialSource, VaultOptions
from dispatcher.credentials.vault_auth import RoleAuth
from dispatcher.engine.clock import SystemClock
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    CredentialsError,
    CredentialsUnavailableError,
)
from dispatcher.settings import CredentialsSettings
from tests.support.openbao import ROOT_TOKEN, openbao, sealable, unseal
from tests.support.rawserver import FakeClock, answer, json_answer, raw_server

pytestmark = pytest.mark.xdist_group("credentials")
PAIR = {"client_id": "id-4N", "client_secret": "secret-8W"}
PATH = "dispatcher/platform"


@pytest.fixture(scope="module")
def bao(tmp_path_factory):
    with openbao(tmp_path_factory.mktemp("bao")) as running:
        yield running


@pytest.fixture(scope="module")
def sealed_at_times(tmp_path_factory):
    with sealable(tmp_path_factory.mktemp("sealable")) as running:
        yield running


@asynccontextmanager
async def source(bao, env=None, clock=None, **section):
    """The source that the section describes; by default root's token reads the usual secret."""
    usual = {"vault_address": bao.url, "vault_ca_bundle": bao.ca_bundle, "vault_path": PATH}
    settings = CredentialsSettings(source="vault", **usual | section)
    secrets = {k: SecretStr(v) for k, v in (env or {"VAULT_TOKEN": bao.admin.token}).items()}
    async with AsyncExitStack() as stack:
        yield make_credentials(settings, stack, secrets, clock or SystemClock())


def approle(bao, name, **role):
    """The settings and the environment of a new AppRole."""
    role_id, secret_id = bao.approle(name, **role)
    login_settings = {"vault_auth": "approle", "vault_role_id": role_id}
    return {"env": {"VAULT_SECRET_ID": secret_id}, **login_settings}


async def test_an_approle_reads_the_client(bao):
    """Id and secret come out of the engine, and where they are kept is known for messages."""
    bao.write(PATH, **PAIR)
    async with source(bao, **approle(bao, "reader")) as it:
        found = await it.get()
    assert found == ClientCredentials("id-4N", "secret-8W")
    assert found.where == f"the secret secret/{PATH} of Vault at {bao.url}"


async def test_a_rotated_secret_is_picked_up_when_the_old_one_is_refused(bao):
    """What is current is asked for once a minute at most, and at once after a refusal."""
    bao.write(PATH, **PAIR)
    clock = FakeClock()
    async with source(bao, clock=clock) as it:
        old = await it.get()
        bao.write(PATH, **PAIR | {"client_secret": "secret-9X"})
        assert await it.get() == old
        new = ClientCredentials("id-4N", "secret-9X")
        assert await it.refresh(old) == new == await it.get()
        bao.write(PATH, **PAIR | {"client_secret": "secret-0Y"})
        clock.pass_by(61)
        assert (await it.get()).client_secret == "secret-0Y"


async def test_a_bearer_token_comes_with_its_scopes_and_its_end(bao):
    """It is read for every call; fields of other names are named in the settings."""
    bao.write(PATH, jwt="token-1", scope="a b", expires_at="2026-11-22T10:00:00Z")
    async with source(bao, token_field="jwt") as it:
        assert await it.get() == BearerToken("token-1", ("a", "b"), 1_795_341_600.0)
        bao.write(PATH, jwt="token-2", scope=["a"], expires_at=1_795_341_600)
        assert await it.get() == BearerToken("token-2", ("a",), 1_795_341_600.0)
        bao.write(PATH, jwt="token-3")
        assert await it.get() == BearerToken("token-3", None, None)


class HandClock(FakeClock):
    """A clock on which a sleep lasts until the test ends it."""

    def __init__(self):
        super().__init__()
        self.pauses, self._ends = asyncio.Queue(), asyncio.Queue()

    async def sleep(self, seconds):
        self.pauses.put_nowait(seconds)
        await self._ends.get()

    async def next_pause(self, *, ended=False):
        """The length of the next sleep, after the end of the present one if ``ended``."""
        if ended:
            self._ends.put_nowait(None)
        async with asyncio.timeout(60):
            return await self.pauses.get()


async def test_a_login_is_renewed_and_replaced_before_it_ends(bao):
    """It is renewed after a part of its life; when its life gets short, another login is made."""
    bao.write(PATH, **PAIR)
    login_settings = approle(bao, "short", token_ttl="1h", token_max_ttl="4h")
    before, clock = bao.logins(), HandClock()
    async with source(bao, clock=clock, **login_settings) as it:
        await it.get()
        first = bao.logins() - before
        assert await clock.next_pause() == pytest.approx(0.6 * 3600, rel=0.1)
        assert not bao.renewed(first)
        assert await clock.next_pause(ended=True) == pytest.approx(0.6 * 3600, rel=0.1)
        assert bao.logins() - before == first, "it was replaced although it could be renewed"
        assert bao.renewed(first)
        bao.approle("short", token_ttl="10m", token_max_ttl="10m")
        assert await clock.next_pause(ended=True) == pytest.approx(0.6 * 600, rel=0.1)
        assert first < bao.logins() - before, "the login ended before another one was there"


async def test_a_login_that_is_refused_is_made_again(bao):
    """Somebody revoked it: the secret is read all the same."""
    bao.write(PATH, **PAIR)
    before = bao.logins()
    async with source(bao, **approle(bao, "revoked")) as it:
        found = await it.get()
        bao.revoke(bao.logins() - before)
        assert await it.refresh(found) == found


async def test_a_login_that_cannot_be_renewed_is_reported_once(bao):
    """No call waits for it, so without the report only the next rotation would show it."""
    bao.write(PATH, **PAIR)
    role_id, secret_id = bao.approle("lapsed", secret_id_num_uses=1, token_ttl="1h")
    options = VaultOptions(bao.url, "secret", PATH, ca_bundle=bao.ca_bundle)
    warnings, before, clock = [], bao.logins(), HandClock()
    login = RoleAuth("approle", role_id, lambda: secret_id, "approle")
    it = VaultCredentialSource(options, login, clock, warnings.append)
    await it.get()
    await clock.next_pause()
    bao.revoke(bao.logins() - before)
    assert [await clock.next_pause(ended=True) for _ in range(5)] == [5, 10, 20, 40, 60]
    await it.close()
    (warning,) = warnings
    assert "refuses the login: check credentials.vault_role_id" in warning


async def test_a_token_file_is_read_again_when_its_token_has_ended(bao, tmp_path):
    """As Vault Agent leaves it there."""
    bao.write(PATH, **PAIR)
    made = [bao.admin.auth.token.create()["auth"] for _ in range(2)]
    file = tmp_path / "token"
    file.write_text(made[0]["client_token"] + "\n")
    async with source(bao, env={"X": "y"}, vault_token_file=str(file)) as it:
        found = await it.get()
        bao.revoke({made[0]["accessor"]})
        with pytest.raises(CredentialsError, match="vault_token_file has expired"):
            await it.refresh(found)
        file.write_text(made[1]["client_token"] + "\n")
        assert await it.refresh(found) == found


async def test_a_secret_id_from_a_file_that_is_good_for_one_login(bao, tmp_path):
    """One login is made however often the secret is read."""
    bao.write(PATH, **PAIR)
    login_settings = approle(bao, "once", secret_id_num_uses=1)
    file = tmp_path / "secret-id"
    file.write_text(login_settings.pop("env")["VAULT_SECRET_ID"])
    async with source(bao, env={"X": "y"}, vault_secret_id_file=str(file), **login_settings) as it:
        found = await it.get()
        assert await it.refresh(found) == found


def wrapped(bao, name, **role):
    """An AppRole, and a token that wraps a secret id of it."""
    role_id, _ = bao.approle(name, **role)
    made = bao.admin.auth.approle.generate_secret_id(name, wrap_ttl="60s")
    return role_id, made["wrap_info"]["token"]


def file_login(role_id, file):
    return {"vault_auth": "approle", "vault_role_id": role_id, "vault_secret_id_file": str(file)}


async def test_a_wrapped_secret_id_is_unwrapped_once(bao, tmp_path):
    """It is kept for later logins, until there is another one; both its uses are logins."""
    bao.write(PATH, **PAIR)
    role_id, token = wrapped(bao, "wrapped")
    file = tmp_path / "secret-id"
    file.write_text(f"{token}\n")
    before = bao.logins()
    async with source(bao, env={"X": "y"}, **file_login(role_id, file)) as it:
        found = await it.get()
        assert found == ClientCredentials(**PAIR)
        bao.revoke(bao.logins() - before)
        assert await it.refresh(found) == found
        bao.revoke(bao.logins() - before)
        file.write_text(wrapped(bao, "wrapped")[1])
        assert await it.refresh(found) == found


async def test_a_wrapped_secret_id_that_was_used_is_an_alarm(bao, tmp_path):
    """Somebody else may have it: the message says so, and shows no token."""
    bao.write(PATH, **PAIR)
    role_id, token = wrapped(bao, "stolen")
    file = tmp_path / "secret-id"
    file.write_text(token)
    async with source(bao, env={"X": "y"}, **file_login(role_id, file)) as it:
        await it.get()
    async with source(bao, env={"X": "y"}, **file_login(role_id, file)) as it:
        with pytest.raises(CredentialsError, match="somebody else may have") as caught:
            await it.get()
    assert token not in str(caught.value)


async def test_a_token_that_wraps_something_else_is_not_used(bao, tmp_path):
    """Its path is looked up first, and the token stays unused: it is evidence."""
    role_id, _ = bao.approle("swapped")
    made = bao.admin.adapter.post(
        "/v1/sys/wrapping/wrap", json={"secret_id": "x"}, headers={"X-Vault-Wrap-TTL": "60s"}
    )
    file = tmp_path / "secret-id"
    file.write_text(made["wrap_info"]["token"])
    async with source(bao, env={"X": "y"}, **file_login(role_id, file)) as it:
        with pytest.raises(CredentialsError, match="wrapping token for something else"):
            await it.get()
    assert bao.admin.sys.unwrap(made["wrap_info"]["token"])["data"] == {"secret_id": "x"}


async def test_a_secret_id_that_looks_like_a_token_is_used_as_it_is(bao):
    """An administrator may choose secret ids."""
    bao.write(PATH, **PAIR)
    role_id, _ = bao.approle("custom")
    chosen = "s.0123456789abcdefghij0123"
    bao.admin.auth.approle.create_custom_secret_id("custom", chosen)
    login = {"vault_auth": "approle", "vault_role_id": role_id}
    async with source(bao, env={"VAULT_SECRET_ID": chosen}, **login) as it:
        assert await it.get() == ClientCredentials(**PAIR)


@pytest.mark.parametrize("refusals", [0, 2, 3, 9])
async def test_a_read_that_is_refused_right_after_the_login_is_tried_again(monkeypatch, refusals):
    """A standby node may not know the login yet; a policy that does not let read stays one."""
    monkeypatch.setattr(vault, "SETTLING_PAUSES", (0.01, 0.01, 0.01))
    logins, reads = [], []

    async def handler(request, peer):
        if request.target.endswith("/login"):
            logins.append(request)
            auth = {"client_token": "login-1", "lease_duration": 3600, "renewable": True}
            await peer.say(json_answer(200, {"auth": auth}))
            return
        reads.append(request)
        if len(reads) <= refusals:
            await peer.say(json_answer(403, {"errors": ["permission denied"]}))
        else:
            await peer.say(json_answer(200, {"data": {"data": PAIR, "metadata": {}}}))

    login = {"vault_auth": "approle", "vault_role_id": "r-1", "vault_ca_bundle": ""}
    env = {"VAULT_SECRET_ID": "s-1"}
    async with raw_server(handler) as server, AsyncExitStack() as stack:
        settings = CredentialsSettings(
            source="vault", vault_address=server.url, vault_path=PATH, **login
        )
        secrets = {name: SecretStr(value) for name, value in env.items()}
        it = make_credentials(settings, stack, secrets, FakeClock())
        if refusals > len(vault.SETTLING_PAUSES):
            with pytest.raises(CredentialsError, match=f"read secret/data/{PATH}"):
                await it.get()
        else:
            assert await it.get() == ClientCredentials(**PAIR)
    assert (len(logins), len(reads)) == (1, min(refusals, 3) + 1)


async def test_a_namespace_of_its_own(bao):
    """The secret is found where the namespace is named, and nowhere else."""
    bao.admin.write("sys/namespaces/team")
    inside = {"vault_namespace": "team", "vault_mount": "kv"}
    bao.admin.adapter.namespace = "team"
    try:
        bao.admin.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})
        bao.admin.secrets.kv.v2.create_or_update_secret(PATH, PAIR, mount_point="kv")
    finally:
        bao.admin.adapter.namespace = None
    async with source(bao, **inside) as it:
        found = await it.get()
        assert found == ClientCredentials(**PAIR)
        assert "in namespace team" in found.where
    env = {"VAULT_TOKEN": ROOT_TOKEN, "VAULT_NAMESPACE": "team"}
    async with source(bao, env=env, vault_mount="kv") as it:
        assert await it.get() == found
    async with source(bao, vault_mount="kv") as it:
        with pytest.raises(CredentialsError, match="vault_namespace"):
            await it.get()


async def test_a_pod_logs_in_by_its_service_account(bao, tmp_path):
    """OpenBao asks the cluster about the token, and trusts what it says."""
    account = {"name": "dispatcher", "uid": "u-1"}
    claims = {"kubernetes.io": {"namespace": "shop", "serviceaccount": account}, "iss": "k8s"}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    coded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    jwt = tmp_path / "jwt"
    jwt.write_text(".".join([*coded, "c2ln"]))
    user = {"username": "system:serviceaccount:shop:dispatcher", "uid": "u-1"}

    async def cluster(_request, peer):
        review = {"status": {"authenticated": True, "user": user}}
        await peer.say(json_answer(201, review))

    async with raw_server(cluster) as server:
        await asyncio.to_thread(_trust, bao, server.url)
        bao.write(PATH, **PAIR)
        login = {"vault_auth": "kubernetes", "vault_role": "shop", "vault_jwt_file": str(jwt)}
        async with source(bao, env={"X": "y"}, vault_auth_mount="cluster", **login) as it:
            assert await it.get() == ClientCredentials(**PAIR)
        async with source(bao, env={"X": "y"}, vault_auth_mount="other", **login) as it:
            with pytest.raises(CredentialsError, match="vault_auth_mount"):
                await it.get()


def _trust(bao, cluster):
    bao.approle("policy")
    bao.admin.sys.enable_auth_method("kubernetes", path="cluster")
    config = {"kubernetes_host": cluster, "token_reviewer_jwt": "x", "disable_local_ca_jwt": True}
    config["kubernetes_ca_cert"] = Path(bao.ca_bundle).read_text()
    bao.admin.write("auth/cluster/config", **config)
    role = {"bound_service_account_names": ["dispatcher"], "token_policies": ["reader"]}
    role["bound_service_account_namespaces"] = ["shop"]
    bao.admin.write("auth/cluster/role/shop", **role)


async def test_a_sealed_server_is_reported_and_waited_for(sealed_at_times):
    """What is known goes on being used; a refusal and a new start have to wait."""
    bao = sealed_at_times
    bao.write(PATH, **PAIR)
    clock = FakeClock()
    async with source(bao, clock=clock) as it, source(bao) as late:
        found = await it.get()
        bao.admin.sys.seal()
        clock.pass_by(61)
        assert await it.get() == found
        for call in (it.refresh(found), late.get()):
            with pytest.raises(CredentialsUnavailableError, match=r"is sealed .* unseal it"):
                await call
        unseal(bao)
        assert await late.get() == found == await it.refresh(found)


WRONG = {
    "no such path": ({"vault_path": "dispatcher/none"}, "no secret secret/dispatcher/none"),
    "no such engine": ({"vault_mount": "none"}, "credentials.vault_path, vault_mount"),
    "no KV version 2": ({"vault_mount": "cubbyhole"}, "vault_mount"),
    "no such field": ({"client_id_field": "user"}, '"user" and "client_secret", or "token"'),
    "a wrong token": ({"env": {"VAULT_TOKEN": "hvs.nobody"}}, "VAULT_TOKEN or credentials"),
    "a wrong role": (
        {"env": {"VAULT_SECRET_ID": "s-1"}, "vault_auth": "approle", "vault_role_id": "r-1"},
        "refuses the login: check credentials.vault_role_id",
    ),
    "a bundle that is none": (
        {"vault_ca_bundle": "/dev/null/x"},
        "vault_ca_bundle or VAULT_CACERT",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_set_up_names_what_to_check(bao, name):
    """In one line, with the setting, and without what is secret."""
    bao.write(PATH, **PAIR)
    section, words = WRONG[name]
    async with source(bao, **section) as it:
        with pytest.raises(CredentialsError) as caught:
            await it.get()
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


async def test_a_policy_that_does_not_let_read(bao):
    """The path that the policy needs is in the message."""
    bao.write("other/place", **PAIR)
    async with source(bao, vault_path="other/place", **approle(bao, "narrow")) as it:
        with pytest.raises(CredentialsError, match="read secret/data/other/place"):
            await it.get()


async def test_a_server_that_is_not_there_or_not_trusted(bao):
    """Both may pass, so both are asked again."""
    async with source(bao, vault_address="https://127.0.0.1:1") as it:
        with pytest.raises(CredentialsUnavailableError, match="cannot be reached"):
            await it.get()
    async with source(bao, vault_ca_bundle="") as it:
        with pytest.raises(CredentialsUnavailableError, match=r"set credentials\.vault_ca_bundle"):
            await it.get()


SAID = {
    "another server": (answer(200, b"<html>", Content_Type="text/html"), "does not speak its API"),
    "a redirect": (answer(307, Location="http://127.0.0.1:1/"), "does not speak its API"),
    "a fault": (json_answer(500, {"errors": ["token root-token-7G"]}), "has a fault"),
}


@pytest.mark.parametrize("name", SAID)
async def test_an_answer_that_is_not_as_it_should_be(bao, name):
    """It is no reason to doubt the set-up; a redirect is not followed with the token."""
    said, words = SAID[name]

    async def handler(_request, peer):
        await peer.say(said)

    async with raw_server(handler) as server, source(bao, vault_address=server.url) as it:
        with pytest.raises(CredentialsUnavailableError) as caught:
            await it.get()
    assert words in str(caught.value)
    assert ROOT_TOKEN not in str(caught.value)


async def test_a_server_that_never_answers_holds_up_nobody(bao):
    """The call ends in time; neither the event loop nor a cancellation waits for it."""

    async def handler(_request, peer):
        await peer.gone()

    async with raw_server(handler) as server:
        async with source(bao, vault_address=server.url, wait_seconds=60) as it:
            reading = asyncio.create_task(it.get())
            await server.until(1)
            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
        async with source(bao, vault_address=server.url, wait_seconds=0.3) as it:
            # The limit of hvac is the same, and is the first at times.
            with pytest.raises(CredentialsUnavailableError, match=r"within 0\.3 s|ReadTimeout"):
                await it.get()


async def test_nothing_secret_is_shown(bao, caplog):
    """Not in any log at the level of debugging, not in a repr, and not in what an error carries."""
    caplog.set_level(logging.DEBUG)
    bao.write(PATH, **PAIR)
    login_settings = approle(bao, "quiet")
    secrets = [*PAIR.values(), login_settings["env"]["VAULT_SECRET_ID"]]
    shown = []
    async with source(bao, **login_settings) as it:
        found = await it.get()
        login = it._session._lease.token
        shown += [repr(it), repr(found), str(found), repr(it._session._lease), repr(vars(it))]
        shown += [repr(task) for task in asyncio.all_tasks()]
        bao.revoke(bao.logins() - {bao.admin.lookup_token()["data"]["accessor"]})
        bao.write(PATH, client_id=PAIR["client_id"], client_secret="")
        shown.append(await _failure(it.refresh(found)))
        bao.write(PATH, **PAIR, token="token-6V")
        shown.append(await _failure(it.refresh(found)))
    async with source(bao, **login_settings, vault_path="other") as it:
        shown.append(await _failure(it.get()))
    for text in [*shown, caplog.text]:
        assert not [secret for secret in [*secrets, login, "token-6V"] if secret in text]


async def _failure(call):
    """Everything that an error shows of itself and of its causes."""
    with pytest.raises(CredentialsError) as caught:
        await call
    error = caught.value
    assert error.__context__ is None
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
