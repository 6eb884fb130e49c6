"""An address where something else answers, or nothing: what people read, and how it ends."""

import threading
from contextlib import contextmanager
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest
from click.testing import CliRunner
from yarl import URL

from dispatcher.app import oauth_clients
from dispatcher.cli import cli
from dispatcher.domain.answer import NoAnswer, NoAnswerCause
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.ports import TokenUnavailableError, WrongAddressError
from tests.support import forked_process
from tests.support.rawserver import FakeClock, raw_server, tcp_server

CREDENTIALS = {"DISPATCHER_CLIENT_ID": "c-1", "DISPATCHER_CLIENT_SECRET": "s-1"}
CONFIG = """
campaign = "wrong"
[message]
text = "Hello"
[source]
path = "{folder}/contacts.csv"
[platform]
base_url = "{url}"
[ledger]
path = "{folder}/ledger.db"
"""


class Quiet(SimpleHTTPRequestHandler):
    """The web server of the standard library: it answers POST with 501 and a page."""

    def log_message(self, *_):
        pass


@contextmanager
def other_web_server():
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def config(tmp_path):
    (tmp_path / "contacts.csv").write_text("conversation_id\nc-1\n")

    def write(url):
        (tmp_path / "dispatcher.toml").write_text(CONFIG.format(url=url, folder=tmp_path))
        return str(tmp_path / "dispatcher.toml")

    return write


def checked(path):
    result = CliRunner(env=CREDENTIALS).invoke(cli, ["check", "--online", "--config", path])
    assert result.exit_code == 5
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    return line


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("http", "is not the platform: it answered 501, not JSON; check platform.base_url"),
        ("https", "does not use TLS"),
    ],
)
def test_another_web_server_is_a_wrong_address(config, scheme, words):
    """Also over TLS, which it does not speak. No class of a library is named, the host once."""
    with other_web_server() as port:
        line = checked(config(f"{scheme}://127.0.0.1:{port}"))
    assert words in line
    assert line.count("127.0.0.1") == 1
    assert "Error" not in line
    assert "WRONG_VERSION" not in line


def test_a_closed_port(config):
    """Nothing listens: that may pass, and is said in words."""
    line = checked(config("http://127.0.0.1:1"))
    assert "nothing listens on this port" in line
    assert (line.count("127.0.0.1"), "Error" in line) == (1, False)


def test_a_run_ends_at_its_start_with_the_setting_to_correct(config):
    """It is not halted as if the platform were down."""
    env = {**forked_process.clean_environment(), **CREDENTIALS}
    with other_web_server() as port:
        path = config(f"http://127.0.0.1:{port}")
        ended = forked_process.run(["-m", "dispatcher", "run", "--once", "--config", path], env)
    assert ended.returncode == 5, ended.stderr
    assert "is not the platform" in ended.stderr
    assert "check platform.base_url" in ended.stderr
    assert "platform_down" not in ended.stderr


class Client:
    """A client whose platform raises one error after the other."""

    name = ""

    def __init__(self, *errors):
        self.errors, self.halts = list(errors), []
        self.platform = self.breaker = self

    async def renew(self, _number):
        raise self.errors.pop(0)

    def halt(self, *halt):
        self.halts.append(halt)


async def test_one_page_of_a_proxy_does_not_end_a_start(monkeypatch):
    """The address counts as wrong after three such answers in a row."""
    monkeypatch.setattr(oauth_clients, "WRONG_ANSWER_SECONDS", 0.0)
    wrong, down = WrongAddressError("wrong"), TokenUnavailableError("down")
    passing = Client(wrong, wrong, down)
    await oauth_clients.preflight([passing], None)
    assert len(passing.halts) == 1
    failing = Client(wrong, wrong, wrong)
    with pytest.raises(WrongAddressError):
        await oauth_clients.preflight([failing], None)
    assert not failing.halts


async def said_of(url, **options):
    async with HttpClient(HttpOptions(timeout=0.3, **options), FakeClock()) as http:
        result, _ = await http.request(http.origin(URL(url)), "GET", "/", {})
        assert isinstance(result, NoAnswer)
        return result


async def test_what_is_said_of_connections_that_fail():
    """In words, without a host; only another protocol is a wrong address."""

    async def closes(_request, peer):
        peer.hang_up()

    async def resets(_request, peer):
        peer.reset()

    async def silent(_request, peer):
        await peer.gone()

    async def junk(_request, peer):
        await peer.say(b"SSH-2.0-OpenSSH_9.6\r\n")
        await peer.gone()

    found = {}
    for name, handler in {"closes": closes, "resets": resets, "silent": silent}.items():
        async with raw_server(handler) as server:
            found[name] = (await said_of(server.url)).detail
    assert found == {
        "closes": "the connection was closed before the answer",
        "resets": "the connection was reset",
        "silent": "no answer in time",
    }
    async with raw_server(junk) as server:
        other = await said_of(server.url)
    assert other.wrong_address
    assert other.cause is not NoAnswerCause.NOT_SENT
    assert "not HTTP" in other.detail
    refused = await said_of("http://user:pass-1@127.0.0.1:1")
    assert (refused.cause, refused.wrong_address) == (NoAnswerCause.NOT_SENT, False)
    proxied = await said_of("http://api.example.com", proxy="http://u:pass-1@127.0.0.1:1")
    assert proxied.detail.startswith("the proxy: the connection is refused")
    assert "pass-1" not in proxied.detail + refused.detail


async def test_a_port_that_hangs_up_in_the_handshake_may_be_right():
    """A load balancer without a backend does that."""

    async def hang_up(_reader, writer):
        writer.close()

    async with tcp_server(hang_up) as port:
        found = await said_of(f"https://127.0.0.1:{port}")
    assert (found.cause, found.wrong_address) == (NoAnswerCause.NOT_SENT, False)
    assert "127.0.0.1" not in found.detail
