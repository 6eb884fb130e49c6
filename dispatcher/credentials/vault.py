"""Credentials from HashiCorp Vault or OpenBao: a secret of a KV version 2 engine."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dispatcher.credentials.blocking import BlockingCaller
from dispatcher.credentials.cache import CredentialsCache
from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.secret_fields import USUAL_FIELDS, SecretFields, credentials_of
from dispatcher.credentials.vault_auth import VaultAuth, VaultLease, part, seconds
from dispatcher.ports import Clock, Credentials, CredentialsError, CredentialsUnavailableError

RENEW_SHARE = 0.6
"""Part of a login's life after which it is renewed."""
SHORTENED = 0.9
"""A renewed login that lives for less than this part of a new one nears its last end."""
RENEW_AGAIN_SECONDS = (5.0, 60.0)
"""Pause after a login that could not be renewed: it doubles from the first to the second."""


@dataclass(frozen=True, slots=True)
class VaultOptions:
    """Where the secret is. ``ca_bundle`` and ``namespace`` may be empty; ``timeout`` in seconds."""

    address: str
    mount: str
    path: str
    namespace: str = ""
    ca_bundle: str = ""
    timeout: float = 10.0
    fields: SecretFields = USUAL_FIELDS

    @property
    def where(self) -> str:
        """The secret, for people."""
        inside = f" in namespace {self.namespace}" if self.namespace else ""
        return f"the secret {self.mount}/{self.path}{inside} of Vault at {self.address}"


class VaultCredentialSource:
    """Reads the secret when it is asked for, and keeps its login alive in between.

    ``warn`` is told, once, that the login could not be renewed, which nobody waits for.
    """

    def __init__(
        self,
        options: VaultOptions,
        login: VaultAuth,
        clock: Clock,
        warn: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self._warn = warn
        self._clock = clock
        self._session = VaultSession(options, login)
        what = f"Vault at {options.address}"
        self._aside = BlockingCaller(what, options.timeout, self._session.judge)
        self._kept = CredentialsCache(self._read, clock)
        self._turn = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None
        self._logins = 0

    async def get(self) -> Credentials:
        """See `dispatcher.ports.CredentialSource.get`."""
        return await self._kept.get()

    async def refresh(self, refused: Credentials) -> Credentials:
        """See `dispatcher.ports.CredentialSource.again`."""
        return await self._kept.refresh(refused)

    async def close(self) -> None:
        """Let go of the connection; a call that hangs is left to itself."""
        await self._stop_renewing()
        self._session.close()

    async def _read(self) -> Credentials:
        async with self._turn:
            found = await self._aside.call(self._session.read)
            if self._logins != self._session.logins:
                self._logins = self._session.logins
                await self._stop_renewing()
                self._renewing = asyncio.create_task(self._renew())
        return found

    async def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _renew(self) -> None:
        """Renew the login in time; one that cannot be renewed is replaced by the next read."""
        first, most = RENEW_AGAIN_SECONDS
        pause, failed = self._session.pause, 0.0
        while pause is not None:
            await self._clock.sleep(pause)
            async with self._turn:
                try:
                    await self._aside.call(self._session.renew)
                    pause, failed = self._session.pause, 0.0
                except (CredentialsError, CredentialsUnavailableError) as error:
                    if not failed:
                        self._warn(str(error))
                    pause = failed = min(most, failed * 2 or first)
                self._logins = self._session.logins


class VaultSession:
    """One login to Vault. Every call blocks, and raises what hvac raises."""

    def __init__(self, options: VaultOptions, login: VaultAuth) -> None:
        self._options = options
        self._login = login
        self._client: Any = None
        self._lease: VaultLease | None = None
        self._whole = 0.0
        self._logging_in = False
        self.logins = 0

    @property
    def pause(self) -> float | None:
        """Seconds until the login should be renewed; None for one that has no end."""
        lease = self._lease
        if lease is None or not lease.seconds:
            return None
        certain = max(lease.seconds - 1.0, lease.seconds / 2)  # it is told in rounded seconds
        return certain * RENEW_SHARE

    def read(self) -> Credentials:
        """Read the secret; log in anew where the login is refused."""
        if self._lease is None:
            self._log_in()
            return self._fetch()
        try:
            return self._fetch()
        except self._hvac().exceptions.Forbidden:
            pass
        self._log_in()
        return self._fetch()

    def renew(self) -> None:
        """Make the login live on; where it cannot for much longer, log in anew."""
        lease, exceptions = self._lease, self._hvac().exceptions
        if lease is not None and lease.renewable:
            try:
                auth = part(self._client.auth.token.renew_self(), "auth")
            except (exceptions.Forbidden, exceptions.InvalidRequest):
                auth = {}
            lives = seconds(auth.get("lease_duration"))
            self._lease = VaultLease(lease.token, lives, renewable=auth.get("renewable") is True)
            if lives >= self._whole * SHORTENED:
                return
        self._log_in()

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.adapter.close()

    def judge(self, error: Exception) -> Exception:
        """Return what to tell of an exception: what is wrong, where, and what to do."""
        if self._client is None or isinstance(
            error, CredentialsError | CredentialsUnavailableError
        ):
            return error
        refused = self._refusal(error)
        return CredentialsError(refused) if refused else self._trouble(error)

    def _refusal(self, error: Exception) -> str:
        options, exceptions = self._options, self._hvac().exceptions
        refusals = (exceptions.InvalidRequest, exceptions.Unauthorized, exceptions.Forbidden)
        if isinstance(error, exceptions.InvalidPath) and not self._logging_in:
            return (
                f"there is no {options.where.removeprefix('the ')}: check credentials.vault_path,"
                " vault_mount (a KV version 2 engine) and vault_namespace"
            )
        if self._logging_in and isinstance(error, (*refusals, exceptions.InvalidPath)):
            return f"Vault at {options.address} refuses the login: {self._login.advice}"
        if isinstance(error, refusals):
            return (
                f"Vault refuses to show {options.where}: let the policy of the login read"
                f" {options.mount}/data/{options.path}, or {self._login.advice}"
            )
        return ""

    def _trouble(self, error: Exception) -> Exception:
        from requests import exceptions as http  # noqa: PLC0415 - hvac is loaded, and so is this

        what = f"Vault at {self._options.address}"
        exceptions = self._hvac().exceptions
        if isinstance(error, exceptions.VaultDown):
            return CredentialsUnavailableError(f"{what} is sealed (503): unseal it")
        if isinstance(error, exceptions.VaultError):
            return CredentialsUnavailableError(
                f"{what} has a fault ({type(error).__name__}): look at its log"
            )
        if isinstance(error, http.SSLError):
            return CredentialsUnavailableError(
                f"the certificate of {what} is not trusted here: set credentials.vault_ca_bundle"
            )
        if isinstance(error, http.RequestException):
            return CredentialsUnavailableError(
                f"{what} cannot be reached ({type(error).__name__}): check"
                " credentials.vault_address or VAULT_ADDR, and the way there"
            )
        if isinstance(error, OSError):
            return CredentialsError(
                "credentials.vault_ca_bundle or VAULT_CACERT is no file of certificates"
            )
        return error

    def _log_in(self) -> None:
        client = self._connected()
        self._logging_in = True
        lease = self._login.log_in(client)
        client.token = lease.token
        self._lease, self._whole = lease, lease.seconds
        self._logging_in = False
        self.logins += 1

    def _connected(self) -> Any:
        options = self._options
        if self._client is None:
            self._client = self._hvac().Client(
                url=options.address,
                token="",  # none of a file in the home folder
                verify=options.ca_bundle or None,
                timeout=options.timeout,
                namespace=options.namespace or None,
                allow_redirects=False,  # a redirect would carry the token to another host
            )
        return self._client

    def _fetch(self) -> Credentials:
        options = self._options
        self._logging_in = False
        answer = self._client.secrets.kv.v2.read_secret_version(
            options.path, mount_point=options.mount, raise_on_deleted_version=True
        )
        secret = part(answer, "data").get("data")
        if not isinstance(secret, dict):
            raise CredentialsError(
                f"{options.where} has no fields: credentials.vault_mount must be a KV version 2"
                " engine"
            )
        return credentials_of(secret, options.fields, options.where)

    def _hvac(self) -> Any:
        return import_optional("hvac", "vault")
