"""config/examples/round-trip.toml, with the installed command: from Snowflake into Snowflake."""

import csv
from pathlib import Path

from tests.support import forked_process
from tests.support.dialects import settings_for
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import QUICK, play
from tests.support.servers.snowflake import PASSPHRASE, snowflake

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "examples" / "round-trip.toml"
CONTACTS = 60
COLUMNS = ("id", "conversation_id", "external_contact_id", "first_name")
FOLLOW = """SELECT c.id, c.conversation_id, l.previous_conversation_id, l.conversation_id
FROM carts c JOIN dispatcher_lineage l ON l.campaign = 'play' AND l.contact_key = c.id"""


def configure(played, database, server):
    """Return the command with the example's configuration and the address of the server."""
    place = f'host = "127.0.0.1"\nport = {server.port}\nprotocol = "http"\n'
    text = EXAMPLE.read_text()
    for old, new in {
        "/etc/dispatcher/rsa_key.p8": str(server.key_file),
        'database = "CRM"\n': f'database = "{database.name}"\n{place}',
        'kind = "snowflake"\naccount': 'kind = "snowflake"\nflush_seconds = 0.2\naccount',
    }.items():
        assert old in text
        text = text.replace(old, new)
    config = played.folder / "round-trip.toml"
    config.write_text(text)
    values = {
        "campaign": "play",
        "ledger.path": played.ledger,
        "platform.base_url": played.sandbox.url,
        "telemetry.statsd_port": played.metrics.port,
        **QUICK,
        **settings_for(played.dialect, played.sandbox.url),
    }
    sets = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    return ["-m", "dispatcher", "run", "--once", "--config", str(config), *sets]


def test_one_query_follows_each_customer(tmp_path):
    """From the old conversation to the new one; a second run changes nothing."""
    scenario = tmp_path / "fast.toml"
    scenario.write_text("seed = 1\n[rate]\nallowed = 60000\nwindow_seconds = 2.0\n")
    with play(tmp_path, scenario, CONTACTS) as played, snowflake() as server:
        database = server.database()
        with played.contacts.open() as file:
            found = list(csv.DictReader(file))
        rows = [{"id": f"c{n:04}"} | {k: one.get(k, "") for k in COLUMNS[1:]}
                for n, one in enumerate(found)]  # fmt: skip
        database.execute(f"CREATE TABLE carts ({', '.join(f'{name} TEXT' for name in COLUMNS)})")
        database.write("carts", rows)
        command = configure(played, database, server)
        secret = {"SNOWFLAKE_PASSPHRASE": PASSPHRASE}
        environment = {**clean_environment(), **played.environment, **secret}
        for _ in range(2):
            ended = forked_process.run(command, environment, 60)
            assert ended.returncode == 0, ended.stderr
            followed = database.execute(FOLLOW)
            assert len(followed) == len({key for key, *_ in followed}) == CONTACTS
            assert all(old == previous for _, old, previous, _ in followed)
            expected = {row.conversation_id for row in played.lineage().values()}
            assert {new for *_, new in followed} == expected
        assert PASSPHRASE not in ended.stdout + ended.stderr
