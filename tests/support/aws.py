"""AWS Secrets Manager, played by moto's server, which a test starts for itself on loopback."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.lazy_imports import Lazily

boto3, moto = Lazily("boto3"), Lazily("moto.server")

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
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        admin = boto3.session.Session().client(
            "secretsmanager", region_name=REGION, endpoint_url=url,
            aws_access_key_id="a", aws_secret_access_key="b",
        )  # fmt: skip
        with closing(admin):
            yield Aws(url, admin)
    finally:
        server.stop()
