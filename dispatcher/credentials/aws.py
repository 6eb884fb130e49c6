"""Credentials from AWS Secrets Manager: a secret in JSON."""

import json
from dataclasses import dataclass
from typing import Any

from dispatcher.credentials.blocking import BlockingCaller
from dispatcher.credentials.cache import CachedCredentialSource
from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.secret_fields import USUAL_FIELDS, SecretFields, parse_secret
from dispatcher.ports import Clock, Credentials, CredentialsError, CredentialsUnavailableError

_TRANSIENT = frozenset(
    {"InternalServiceError", "InternalServiceErrorException", "RequestLimitExceeded",
     "ServiceUnavailable", "ThrottlingException", "TooManyRequestsException"}
)  # fmt: skip
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """The secret to read. ``region`` and ``endpoint_url`` may be empty; ``timeout`` in seconds."""

    secret_id: str
    region: str = ""
    endpoint_url: str = ""
    timeout: float = 10.0
    fields: SecretFields = USUAL_FIELDS

    @property
    def where(self) -> str:
        """The name of the secret in messages."""
        return f"the secret {self.secret_id} of AWS Secrets Manager"


class AwsCredentialSource(CachedCredentialSource):
    """Reads a secret with boto3.

    boto3 finds the identity of this process as usual: in variables, a profile, or the role of the
    pod or machine.
    """

    def __init__(self, options: AwsOptions, clock: Clock) -> None:
        super().__init__(clock)
        self._options = options
        self._client: Any = None
        self._caller = BlockingCaller("AWS Secrets Manager", options.timeout, self._translate)

    async def close(self) -> None:
        """Close the connections; a call that hangs goes on in its thread."""
        if self._client is not None:
            self._client.close()

    async def _read(self) -> Credentials:
        return await self._caller.call(self._fetch)

    def _fetch(self) -> Credentials:
        answer = self._connect().get_secret_value(SecretId=self._options.secret_id)
        try:
            secret = json.loads(answer.get("SecretString") or answer.get("SecretBinary") or "")
        except ValueError:
            secret = None
        if isinstance(secret, dict):
            return parse_secret(secret, self._options.fields, self._options.where)
        raise CredentialsError(
            f"{self._options.where} is not a JSON object: write"
            ' {"client_id": "...", "client_secret": "..."} or {"token": "..."}'
        )

    def _connect(self) -> Any:
        options = self._options
        if self._client is None:
            boto3 = import_optional("boto3", "aws")
            from botocore.config import Config  # noqa: PLC0415 - an extra

            self._client = boto3.session.Session().client(
                "secretsmanager",
                region_name=options.region or None,
                endpoint_url=options.endpoint_url or None,
                config=Config(
                    connect_timeout=options.timeout,
                    read_timeout=options.timeout,
                    retries={"total_max_attempts": 1},
                ),
            )
        return self._client

    def _translate(self, error: Exception) -> Exception:
        """Return the error to raise: what is wrong, where, and what to do."""
        if isinstance(error, CredentialsError):
            return error
        from botocore import exceptions as known  # noqa: PLC0415 - an extra, loaded by now

        if isinstance(error, known.ClientError):
            return self._refusal(error)
        if isinstance(error, known.NoRegionError):
            return CredentialsError("AWS: no region: set credentials.aws_region or AWS_REGION")
        no_identity = (
            known.NoCredentialsError, known.PartialCredentialsError, known.ProfileNotFound,
            known.TokenRetrievalError, known.UnauthorizedSSOTokenError,
        )  # fmt: skip
        if isinstance(error, no_identity):
            return CredentialsError(
                "AWS: no identity: give this process a role, a profile or AWS_ACCESS_KEY_ID"
                f" and AWS_SECRET_ACCESS_KEY ({type(error).__name__})"
            )
        if isinstance(error, known.BotoCoreError):
            return CredentialsUnavailableError(
                f"AWS Secrets Manager cannot be reached ({type(error).__name__}): check"
                " credentials.aws_region, credentials.aws_endpoint_url and the network"
            )
        return error

    def _refusal(self, error: Any) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))[:60]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _TRANSIENT or status >= _SERVER_FAULT:
            return CredentialsUnavailableError(f"AWS Secrets Manager does not answer now ({code})")
        return CredentialsError(
            f"AWS does not return {self._options.where} ({code}): check credentials.aws_secret_id,"
            " the region, and that the role may call secretsmanager:GetSecretValue for it"
        )
