"""AWS Secrets Manager, played by moto's server, which a test starts for itself on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.servers.moto_server import moto_server

REGION = "eu-central-1"
IDENTITY = {"AWS_ACCESS_KEY_ID": "AKIA-test", "AWS_SECRET_ACCESS_KEY": "aws-secret-5K"}
"""Who asks, as every AWS tool finds it in the environment."""


@dataclass
class Aws:
    """A running server; ``admin`` is a client of its Secrets Manager."""

    url: str
    admin: Any

    def write(self, name: str, value: object) -> None:
        """Write a new version of a secret: a text as it is, all else as JSON."""
        text = value if isinstance(value, str) else json.dumps(value)
        try:
            self.admin.create_secret(Name=name, SecretString=text)
        except self.admin.exceptions.ResourceExistsException:
            self.admin.put_secret_value(SecretId=name, SecretString=text)


@contextmanager
def secrets_manager() -> Iterator[Aws]:
    """Run the server for as long as the block lasts."""
    with moto_server("secretsmanager", REGION) as (url, admin):
        yield Aws(url, admin)
