"""What ``check --online`` shows of sinks: what is there, and what a sink lacks."""

from dispatcher.app.online_sinks import check_sinks
from dispatcher.settings import load
from tests.support.least_settings import NEEDED, SECRETS
from tests.support.servers.hooks import hooks


async def test_each_sink_is_opened_and_named(tmp_path):
    """One that works, one that cannot be opened, one whose password is missing."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(
        f'[[sinks]]\nname = "here"\nkind = "sql"\nurl = "sqlite:///{tmp_path}/w.db"\n'
        f'[[sinks]]\nname = "away"\nkind = "sql"\nurl = "sqlite:///{tmp_path}/none/w.db"\n'
        '[[sinks]]\nname = "locked"\nkind = "kafka"\nbootstrap_servers = "127.0.0.1:9"\n'
        'topic = "t"\nsecurity_protocol = "SASL_SSL"\nsasl_username = "u"\n'
        'password_variable = "ABSENT"\n'
    )
    settings = load(config, env=SECRETS, flags=NEEDED)
    here, away, locked = await check_sinks(settings)
    assert (here.what, here.ok, here.detail) == ("sink here", True, "0 rows in dispatcher_lineage")
    assert (away.what, away.ok) == ("sink away", False)
    assert away.detail.startswith("the database does not take the rows: unable to open")
    assert (locked.what, locked.ok) == ("sink locked", False)
    assert "ABSENT is not set" in locked.detail


async def test_the_server_of_a_webhook_is_connected_to(tmp_path):
    """No notice is posted; a server that is away, or a wrong name, is a failure."""
    with hooks() as server:
        config = tmp_path / "dispatcher.toml"
        urls = {
            "here": server.url,
            "away": "http://127.0.0.1:1/hook",
            "plain": server.url.replace("http:", "https:"),
            "port": "http://127.0.0.1:999999/hook",
        }
        config.write_text(
            "".join(
                f'[[sinks]]\nname = "{name}"\nkind = "webhook"\nurl = "{url}"\n'
                for name, url in urls.items()
            )
        )
        settings = load(config, env=SECRETS, flags=NEEDED)
        found = {finding.what: finding for finding in await check_sinks(settings)}
        assert found["sink here"].ok
        assert found["sink here"].detail.endswith("accepts connections; no notice was posted")
        for name in ("away", "plain", "port"):
            assert not found[f"sink {name}"].ok, name
            assert "check url" in found[f"sink {name}"].detail
            assert "/hook" not in found[f"sink {name}"].detail, "the path may have a secret"
        assert server.posts == []
