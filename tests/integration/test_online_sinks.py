"""What ``check --online`` shows of sinks: what is there, and what a sink lacks."""

from dispatcher.app.online_sinks import check_sinks
from dispatcher.settings import load
from tests.support.least_settings import NEEDED, SECRETS


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
