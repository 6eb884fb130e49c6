"""Credentials from HashiCorp Vault or OpenBao: a secret of a KV version 2 engine."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dispatcher.credentials.blocking import BlockingCaller
from dispatcher.credentials.cache import CachedCredentialSource
from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.secret_fields import USUAL_FIELDS, SecretFields, parse_secret
from dispatcher.credentials.vault_answers import subtable
from dispatcher.credentials.vault_auth import VaultAuth, VaultLease
from dispatcher.ports import Clock, Credentials, CredentialsError, CredentialsUnavailableError

RENEW_SHARE = 0.6
"""Part of a login's lifetime after which it is renewed."""
SHORTENED = 0.9
"""A renewed login with less than this part of its first lifetime is near its maximum age."""
RENEW_AGAIN_SECONDS = (5.0, 60.0)
"""Pause after a renewal that failed: it doubles from the first value to the second."""
SETTLING_PAUSES = (0.1, 0.3, 1.0)
"""Pauses, in seconds, before a read that was refused right after the login is tried again."""
SETTLING_SHARE = 0.15
"""The longest pause as a part of the time limit of a call: together they stay below it."""


@dataclass(frozen=True, slots=True)
class VaultOptions:
    """The secret to read. ``ca_bundle`` and ``namespace`` may be empty; ``timeout`` in seconds."""

    address: str
    mount: str
    path: str
    namespace: str = ""
    ca_bundle: str = ""
    timeout: float = 10.0
    fields: SecretFields = USUAL_FIELDS

    @property
    def where(self) -> str:
        """The name of the secret in messages."""
        inside = f" in namespace {self.namespace}" if self.namespace else ""
        return f"the secret {self.mount}/{self.path}{inside} of Vault at {self.address}"


class VaultCredentialSource(CachedCredentialSource):
    """Reads a secret, and renews its login to Vault in a task.

    ``warn`` is called with the error when the login cannot be renewed, once until it is again.
    """

    def __init__(
        self,
        options: VaultOptions,
        login: VaultAuth,
        clock: Clock,
        warn: Callable[[str], None] = lambda _error: None,
    ) -> None:
        super().__init__(clock)
        self._warn = warn
        self._session = VaultSession(options, login)
        what = f"Vault at {options.address}"
        self._caller = BlockingCaller(what, options.timeout, self._session.translate)
        self._in_session = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None
        self._logins = 0

    async def close(self) -> None:
        """Close the connections; a call that hangs goes on in its thread."""
        await self._stop_renewing()
        self._session.close()

    async def _read(self) -> Credentials:
        async with self._in_session:
            credentials = await self._caller.call(self._session.read)
            if self._logins != self._session.logins:
                self._logins = self._session.logins
                await self._stop_renewing()
                self._renewing = asyncio.create_task(self._renew())
        return credentials

    async def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _renew(self) -> None:
        """Renew the login in time; if that fails, the next read logs in again."""
        first, longest = RENEW_AGAIN_SECONDS
        pause, failed = self._session.pause, 0.0
        while pause is not None:
            await self._clock.sleep(pause)
            async with self._in_session:
                try:
                    await self._caller.call(self._session.renew)
                    pause, failed = self._session.pause, 0.0
                except (CredentialsError, CredentialsUnavailableError) as error:
                    if not failed:
                        self._warn(str(error))
                    pause = failed = min(longest, failed * 2 or first)
                self._logins = self._session.logins


class VaultSession:
    """One login to Vault. Every call blocks, and may raise the errors of hvac."""

    def __init__(self, options: VaultOptions, login: VaultAuth) -> None:
        self._options = options
        self._login = login
        self._client: Any = None
        self._lease: VaultLease | None = None
        self._first_seconds = 0.0
        self._logging_in = False
        self.logins = 0

    @property
    def pause(self) -> float | None:
        """Seconds until the login should be renewed; None if it does not expire."""
        lease = self._lease
        if lease is None or not lease.seconds:
            return None
        certain = max(lease.seconds - 1.0, lease.seconds / 2)  # Vault rounds to whole seconds
        return certain * RENEW_SHARE

    def read(self) -> Credentials:
        """Read the secret; if Vault refuses the login, log in again."""
        if self._lease is not None:
            with suppress(self._hvac().exceptions.Forbidden):
                return self._fetch()
        self._log_in()
        return self._fetch_after_login()

    def renew(self) -> None:
        """Renew the login; if it cannot live much longer, log in again."""
        lease, exceptions = self._lease, self._hvac().exceptions
        if lease is not None and lease.renewable:
            try:
                auth = subtable(self._client.auth.token.renew_self(), "auth")
            except (exceptions.Forbidden, exceptions.InvalidRequest):
                auth = {}
            self._lease = VaultLease.from_fields(lease.token, auth, "lease_duration")
            if self._lease.seconds >= self._first_seconds * SHORTENED:
                return
        self._log_in()

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.adapter.close()

    def translate(self, error: Exception) -> Exception:
        """Return the error to raise: what is wrong, where, and what to do."""
        if self._client is None or isinstance(
            error, CredentialsError | CredentialsUnavailableError
        ):
            return error
        refusal = self._refusal(error)
        return CredentialsError(refusal) if refusal else self._failure(error)

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

    def _failure(self, error: Exception) -> Exception:
        from requests import exceptions as http  # noqa: PLC0415 - hvac is loaded, and so is this

        what = f"Vault at {self._options.address}"
        exceptions, name = self._hvac().exceptions, type(error).__name__
        if isinstance(error, exceptions.VaultDown):
            why = f"{what} is sealed (503): unseal it"
        elif isinstance(error, exceptions.VaultError):
            why = f"{what} has a fault ({name}): look at its log"
        elif isinstance(error, http.SSLError):
            why = f"the certificate of {what} is not trusted here: set credentials.vault_ca_bundle"
        elif isinstance(error, http.RequestException):
            advice = "check credentials.vault_address or VAULT_ADDR, and the network"
            why = f"{what} cannot be reached ({name}): {advice}"
        elif isinstance(error, OSError):
            return CredentialsError(
                "credentials.vault_ca_bundle or VAULT_CACERT is not a file of certificates"
            )
        else:
            return error
        return CredentialsUnavailableError(why)

    def _log_in(self) -> None:
        options = self._options
        if self._client is None:
            self._client = self._hvac().Client(
                url=options.address,
                token="",  # not the token of a file in the home folder
                verify=options.ca_bundle or None,
                timeout=options.timeout,
                namespace=options.namespace or None,
                allow_redirects=False,  # a redirect would carry the token to another host
            )
        self._logging_in = True
        lease = self._login.log_in(self._client)
        self._client.token = lease.token
        self._lease, self._first_seconds = lease, lease.seconds
        self._logging_in = False
        self.logins += 1

    def _fetch(self) -> Credentials:
        options = self._options
        self._logging_in = False
        answer = self._client.secrets.kv.v2.read_secret_version(
            options.path, mount_point=options.mount, raise_on_deleted_version=True
        )
        secret = subtable(answer, "data").get("data")
        if not isinstance(secret, dict):
            advice = "credentials.vault_mount must be a KV version 2 engine"
            raise CredentialsError(f"{options.where} has no fields: {advice}")
        return parse_secret(secret, options.fields, options.where)

    def _fetch_after_login(self) -> Credentials:
        """Read the secret; a standby node may not know a new login yet, and answers 403."""
        bound = self._options.timeout * SETTLING_SHARE
        for pause in SETTLING_PAUSES:
            with suppress(self._hvac().exceptions.Forbidden):
                return self._fetch()
            time.sleep(min(pause, bound))
        return self._fetch()

    def _hvac(self) -> Any:
        return import_optional("hvac", "vault")
