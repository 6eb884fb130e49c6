"""A server of moto, which plays the services of AWS."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.support.lazy_imports import Lazily

boto3, moto = Lazily("boto3"), Lazily("moto.server")


@contextmanager
def moto_server(service: str, region: str) -> Iterator[tuple[str, Any]]:
    """Run a server; yield its address, and a client of one of its services."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        admin = boto3.session.Session().client(
            service, region_name=region, endpoint_url=url,
            aws_access_key_id="a", aws_secret_access_key="b",
        )  # fmt: skip
        with closing(admin):
            yield url, admin
    finally:
        server.stop()
