"""A TCP server that sends exactly the bytes of a test, and records the requests.

Also a clock that a test moves, and a self-signed certificate, for the tests of the platform
adapters.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOOPBACK = IPv4Address("127.0.0.1")


@dataclass
class FakeClock:
    """Time that only a test moves."""

    now: float = 1000.0
    epoch: float = 1_700_000_000.0

    def time(self) -> float:
        return self.epoch

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        """Move the time forward."""
        self.now += seconds
        self.epoch += seconds


@dataclass(frozen=True)
class Request:
    """One received request; ``connection`` is the number of its connection, from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Peer:
    """One client's connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.number = number
        self.reader = reader
        self.writer = writer
        self.open = True

    async def say(self, data: bytes) -> None:
        """Send bytes without changes, if the client still has its connection."""
        if self.writer.is_closing():
            return
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def hang_up(self) -> None:
        """Close the connection normally."""
        self.open = False
        self.writer.close()

    def reset(self) -> None:
        """Abort the connection (RST)."""
        self.open = False
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client closes its end."""
        self.open = False
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Handler = Callable[[Request, Peer], Awaitable[None]]


@dataclass
class RawServer:
    """Counts connections and requests; ``handler`` writes the answers."""

    handler: Handler
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def request_lines(self) -> list[tuple[str, str]]:
        """Method and target of every request."""
        return [(request.method, request.target) for request in self.requests]

    async def until(self, number: int, seconds: float = 10.0) -> None:
        """Wait until this number of requests has arrived."""
        async with asyncio.timeout(seconds):
            while len(self.requests) < number:
                self._heard.clear()
                await self._heard.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the requests of one connection until either side closes it."""
        self.connections += 1
        peer = Peer(self.connections, reader, writer)
        self.peers.append(peer)
        try:
            while peer.open:
                request = await read_request(reader, peer.number)
                self.requests.append(request)
                self._heard.set()
                await self.handler(request, peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


async def read_request(reader: asyncio.StreamReader, connection: int) -> Request:
    """Read one request, with a body if it has a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, connection)


@contextlib.asynccontextmanager
async def raw_server(
    handler: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Serve HTTP on a free port of 127.0.0.1; close every connection at the end."""
    it = RawServer(handler, scheme="https" if tls else "http")
    async with tcp_server(it.serve, tls) as port:
        it.port = port
        yield it


@contextlib.asynccontextmanager
async def tcp_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Yield a free port of 127.0.0.1; ``serve`` gets each connection to it."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.add(asyncio.get_running_loop().create_task(_serve(reader, writer)))

    async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            with contextlib.suppress(Exception):
                await writer.wait_closed()
    broken = [result for result in results if isinstance(result, Exception)]
    assert not broken, f"the server itself failed: {broken!r}"


def answer(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> bytes:
    """Return an answer; ``length`` replaces the correct Content-Length.

    Underscores in header names become hyphens.
    """
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_answer(status: int, value: object, **headers: str) -> bytes:
    """Return an answer with a JSON body."""
    return answer(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


def saying(data: bytes) -> Handler:
    """Return a handler that answers every request with the same bytes."""

    async def handler(_: Request, peer: Peer) -> None:
        await peer.say(data)

    return handler


def tunnel(refuse: bytes | None = None) -> Handler:
    """Return the handler of a proxy: CONNECT, and the absolute form of GET and POST.

    With ``refuse`` every request gets these bytes instead; empty bytes abort the connection.
    """

    async def handler(request: Request, peer: Peer) -> None:
        if refuse is not None:
            await peer.say(refuse)
            if not refuse:
                peer.reset()
        elif request.method == "CONNECT":
            host, _, port = request.target.partition(":")
            await peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(peer, host, int(port))
        else:
            await _forward(request, peer)

    return handler


async def _forward(request: Request, peer: Peer) -> None:
    url = urlsplit(request.target)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    lines = [f"{request.method} {url.path} HTTP/1.1", "Connection: close"]
    lines += [f"{k}: {v}" for k, v in request.headers.items() if k != "connection"]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + request.body)
    await _pump(reader, peer.writer, 1)
    writer.close()


async def _join(peer: Peer, host: str, port: int) -> None:
    peer.open = False
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))
    finally:
        writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunks: int = -1
) -> None:
    with contextlib.suppress(ConnectionError):
        while chunks and (data := await reader.read(65536)):
            chunks -= 1
            writer.write(data)
            await writer.drain()
        if chunks:
            writer.close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key; return both paths."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "crl_sign", "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), False)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(secret.private_bytes(*plain))
    return certificate, key


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a server's TLS context with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
