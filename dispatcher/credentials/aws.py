"""Credentials from AWS Secrets Manager: a secret in JSON."""

import json
from dataclasses import dataclass
from typing import Any

from dispatcher.credentials.blocking import BlockingCaller
from dispatcher.credentials.cache import CredentialsCache
from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.secret_fields import USUAL_FIELDS, SecretFields, credentials_of
from dispatcher.ports import Clock, Credentials, CredentialsError, CredentialsUnavailableError

_PASSING = frozenset(
    {"InternalServiceError", "InternalServiceErrorException", "RequestLimitExceeded",
     "ServiceUnavailable", "ThrottlingException", "TooManyRequestsException"}
)  # fmt: skip
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """Which secret. ``region`` and ``endpoint_url`` may be empty; ``timeout`` in seconds."""

    secret_id: str
    region: str = ""
    endpoint_url: str = ""
    timeout: float = 10.0
    fields: SecretFields = USUAL_FIELDS

    @property
    def where(self) -> str:
        """The secret, for people."""
        return f"the secret {self.secret_id} of AWS Secrets Manager"


class AwsCredentialSource:
    """Reads the secret when it is asked for.

    Who asks is found by boto3 as everywhere: variables, a profile, a role of the pod or machine.
    """

    def __init__(self, options: AwsOptions, clock: Clock) -> None:
        self._options = options
        self._client: Any = None
        self._aside = BlockingCaller("AWS Secrets Manager", options.timeout, self._judge)
        self._kept = CredentialsCache(self._read, clock)

    async def get(self) -> Credentials:
        """See `dispatcher.ports.CredentialSource.get`."""
        return await self._kept.get()

    async def refresh(self, refused: Credentials) -> Credentials:
        """See `dispatcher.ports.CredentialSource.again`."""
        return await self._kept.refresh(refused)

    async def close(self) -> None:
        """Let go of the connection; a call that hangs is left to itself."""
        if self._client is not None:
            self._client.close()

    async def _read(self) -> Credentials:
        return await self._aside.call(self._fetch)

    def _fetch(self) -> Credentials:
        answer = self._connected().get_secret_value(SecretId=self._options.secret_id)
        try:
            secret = json.loads(answer.get("SecretString") or answer.get("SecretBinary") or "")
        except ValueError:
            secret = None
        if isinstance(secret, dict):
            return credentials_of(secret, self._options.fields, self._options.where)
        raise CredentialsError(
            f"{self._options.where} is no JSON object: write"
            ' {"client_id": "...", "client_secret": "..."} or {"token": "..."}'
        )

    def _connected(self) -> Any:
        options = self._options
        if self._client is None:
            boto3 = import_optional("boto3", "aws")
            from botocore.config import Config  # noqa: PLC0415 - an extra

            config = Config(
                connect_timeout=options.timeout,
                read_timeout=options.timeout,
                retries={"total_max_attempts": 1},
            )
            self._client = boto3.session.Session().client(
                "secretsmanager",
                region_name=options.region or None,
                endpoint_url=options.endpoint_url or None,
                config=config,
            )
        return self._client

    def _judge(self, error: Exception) -> Exception:
        """Return what to tell of an exception: what is wrong, where, and what to do."""
        if isinstance(error, CredentialsError):
            return error
        from botocore import exceptions as known  # noqa: PLC0415 - an extra, loaded by now

        if isinstance(error, known.ClientError):
            return self._refusal(error)
        if isinstance(error, known.NoRegionError):
            return CredentialsError("AWS: no region: set credentials.aws_region or AWS_REGION")
        nobody = (
            known.NoCredentialsError, known.PartialCredentialsError, known.ProfileNotFound,
            known.TokenRetrievalError, known.UnauthorizedSSOTokenError,
        )  # fmt: skip
        if isinstance(error, nobody):
            return CredentialsError(
                "AWS: nobody to ask as: give this process a role, a profile or AWS_ACCESS_KEY_ID"
                f" and AWS_SECRET_ACCESS_KEY ({type(error).__name__})"
            )
        if isinstance(error, known.BotoCoreError):
            return CredentialsUnavailableError(
                f"AWS Secrets Manager cannot be reached ({type(error).__name__}): check"
                " credentials.aws_region, credentials.aws_endpoint_url and the way there"
            )
        return error

    def _refusal(self, error: Any) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))[:60]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _PASSING or status >= _SERVER_FAULT:
            return CredentialsUnavailableError(f"AWS Secrets Manager does not answer now ({code})")
        return CredentialsError(
            f"AWS does not give {self._options.where} ({code}): check credentials.aws_secret_id,"
            " the region, and that the role may call secretsmanager:GetSecretValue for it"
        )
