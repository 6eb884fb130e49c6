"""``dispatcher lineage export --to``: the installed command sends each row of a ledger once."""

import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from dispatcher.ledgers.lock import LedgerLock
from tests.contract.test_sink_contract import ObjectCase, SnowflakeCase, SqliteCase
from tests.support.broken_environment import NOBODY, UNPRIVILEGED
from tests.support.filled_lineage import fill_lineage
from tests.support.forked_process import Forked, clean_environment, run
from tests.support.ledgers import KIND, ledger_in, of_a_file, toml_of
from tests.support.scenario_runner import play
from tests.support.servers.kafka import free_port
from tests.support.servers.s3 import IDENTITY, REGION
from tests.support.servers.shared import marks_of
from tests.support.servers.snowflake import PASSPHRASE

ROWS, PER_RANGE, LARGER_RANGE = 900, 10, 40
HOOK = '[[sinks]]\nname = "ops"\nkind = "webhook"\nurl = "http://127.0.0.1:9/hook"\n'
SENT = re.compile(r"([\d,]+) rows? sent to sink out in ([\d,]+) ranges?, \d+\.\d s\.\n")


def sink(kind, *lines, name="out", rows_per_range=PER_RANGE):
    common = [f'name = "{name}"', f'kind = "{kind}"', f"rows_per_range = {rows_per_range}"]
    return "\n".join(["[[sinks]]", *common, *lines, ""])


class Command:
    """The command with a ledger and a configuration in one folder."""

    def __init__(self, folder, sinks):
        self.ledger, self.config = ledger_in(folder), folder / "dispatcher.toml"
        self.config.write_text(toml_of(self.ledger) + sinks)
        secrets = {"SNOWFLAKE_PASSPHRASE": PASSPHRASE, "AWS_REGION": REGION}
        self.environment = {**clean_environment(), **IDENTITY, **secrets}

    def line(self, *more, to="out"):
        export = ["-m", "dispatcher", "lineage", "export", "--config", str(self.config)]
        return [*export, "--to", to, *more]

    def run(self, *more, to="out"):
        return run(self.line(*more, to=to), self.environment)

    def sent(self, *more):
        """Run it to a good end; return the numbers of rows and ranges of its summary."""
        done = self.run(*more)
        assert done.returncode == 0, done.stderr
        assert all(line.startswith("rows ") for line in done.stderr.splitlines()), done.stderr
        rows, ranges = SENT.fullmatch(done.stdout).groups()
        return int(rows.replace(",", "")), int(ranges.replace(",", ""))


class Table:
    """A table of SQLite, by SQLAlchemy."""

    def __init__(self, folder):
        import_module("sqlalchemy.dialects.sqlite")  # for all commands once: see `Forked`
        self.case = SqliteCase(folder)
        self.sinks = sink("sql", f'url = "sqlite:///{self.case.path}"')

    def keys(self):
        try:
            return self.case.keys() if self.case.path.exists() else []
        except sqlite3.OperationalError:  # the table is not there yet
            return []

    def count(self):
        return len(self.keys())

    def clear(self):
        with closing(sqlite3.connect(self.case.path)) as connection, connection:
            connection.execute("DELETE FROM dispatcher_lineage")


class Lake:
    """Objects of S3, by moto's server."""

    def __init__(self, server):
        self.bucket = bucket = server.bucket()
        self.case = ObjectCase(bucket, "jsonl")
        url, endpoint = f'url = "{bucket.address}/lineage/"', f'endpoint = "{bucket.url}"'
        lines = (url, endpoint, 'format = "jsonl"', "allow_http = true")
        self.sinks = sink("objects", *lines, rows_per_range=LARGER_RANGE)

    def keys(self):
        return self.case.keys()

    def count(self):
        """Rows, of ranges that are whole."""
        found = self.bucket.admin.list_objects_v2(Bucket=self.bucket.name)
        return found["KeyCount"] * LARGER_RANGE

    def clear(self):
        for one in self.bucket.admin.list_objects_v2(Bucket=self.bucket.name)["Contents"]:
            self.bucket.admin.delete_object(Bucket=self.bucket.name, Key=one["Key"])


class Topic:
    """A topic of Kafka."""

    def __init__(self, server):
        self.topic = topic = server.topic()
        servers = f'bootstrap_servers = "{topic.servers}"'
        self.sinks = sink("kafka", servers, f'topic = "{topic.name}"', "idempotent = false")

    def keys(self):
        rows = [json.loads(message.value) for message in self.topic.messages()]
        return sorted((one["contact_key"], one["conversation_id"]) for one in rows)


class Warehouse:
    """A table of Snowflake."""

    def __init__(self, server):
        database = server.database()
        self.case = SnowflakeCase(database)
        keys = database.settings("").items()
        lines = [f"{key[1:]} = {json.dumps(value)}" for key, value in keys]
        lines.append('passphrase_variable = "SNOWFLAKE_PASSPHRASE"')
        self.sinks = sink("snowflake", *lines, rows_per_range=1000)

    def keys(self):
        return self.case.keys()


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


FIXTURES = {
    Table: "tmp_path",
    Lake: "s3_server",
    Topic: "kafka_server",
    Warehouse: "snowflake_server",
}
KINDS = [pytest.param(kind, marks=marks_of(fixture)) for kind, fixture in FIXTURES.items()]


@pytest.fixture(params=KINDS[:2])
def target(request):
    return make_target(request.param, request)


def make_target(kind, request):
    return kind(request.getfixturevalue(FIXTURES[kind]))


def once(*numbers):
    return sorted((f"key-{n}", f"old-{n}") for n in numbers)


def wait_for_rows(target, number, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end and target.count() < number:
        time.sleep(0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_is_each_row_once_and_later_only_what_is_new(kind, request, tmp_path):
    """Rows of all campaigns of the ledger; the place is in the ledger."""
    target = make_target(kind, request)
    command = Command(tmp_path, target.sinks)
    fill_lineage(command.ledger, "c1", range(30))
    fill_lineage(command.ledger, "c2", range(30, 45))
    rows, _ = command.sent()
    assert rows == 45
    assert target.keys() == once(*range(45))
    assert command.sent() == (0, 0)
    fill_lineage(command.ledger, "c1", range(45, 49))
    assert command.sent() == (4, 1)
    assert target.keys() == once(*range(49))


def test_killed_in_the_middle_and_again_is_each_row_once(tmp_path, target):
    """Three times by SIGKILL, while ranges go out, and then to the end."""
    command = Command(tmp_path, target.sinks)
    fill_lineage(command.ledger, "c1", range(ROWS))
    for part in (1, 2, 3):
        running = Forked(command.line(), command.environment)
        wait_for_rows(target, part * ROWS // 6)
        running.kill()
        assert running.wait(10) == -signal.SIGKILL
        running.close()
        assert part * ROWS // 6 <= len(target.keys()) < ROWS
    rows, _ = command.sent()
    assert 0 < rows < ROWS
    assert target.keys() == once(*range(ROWS))


def test_a_stop_loses_nothing(tmp_path):
    """Ctrl-C ends it with 130, and the same command continues."""
    target = Table(tmp_path)
    command = Command(tmp_path, target.sinks)
    fill_lineage(command.ledger, "c1", range(ROWS))
    running = Forked(command.line(), command.environment)
    wait_for_rows(target, ROWS // 5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(30)
    assert (running.returncode, out) == (130, "")
    assert all(line.startswith("rows ") for line in err.splitlines()), err
    rows, _ = command.sent()
    assert 0 < rows < ROWS
    assert target.keys() == once(*range(ROWS))


def test_only_the_campaigns_of_the_sink(tmp_path):
    """--campaign alone would pass over the rows of others for good, so it is refused."""
    target = Table(tmp_path)
    listed = "".join(f'[[campaigns]]\nname = "c{n}"\n' for n in (1, 2))
    command = Command(tmp_path, listed + target.sinks + 'campaigns = ["c2"]\n')
    fill_lineage(command.ledger, "c1", range(15))
    fill_lineage(command.ledger, "c2", range(15, 40))
    refused = command.run("--campaign", "c1")
    assert refused.returncode == 2
    assert "with --campaign the rows of others would never go out" in refused.stderr
    assert command.sent("--campaign", "c2") == (25, 4)
    assert target.keys() == once(*range(15, 40))


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "fast.toml"
    scenario.write_text("seed = 1\n[rate]\nallowed = 60000\nwindow_seconds = 2.0\n")
    with play(tmp_path, scenario, 60) as made:
        yield made


def links(played):
    return sorted((row.contact_key, row.conversation_id) for row in played.lineage().values())


def test_a_run_afterwards_sends_nothing_again(played, tmp_path, target):
    """And the command leaves out what a run has sent: what was removed there stays away."""
    command = Command(tmp_path, target.sinks)
    played.environment |= command.environment
    assert played.run("--limit", "20").returncode == 0
    assert command.sent()[0] == 20
    before = links(played)
    assert target.keys() == before
    target.clear()
    played.config = command.config
    ended = played.run("--limit", "20")
    assert ended.returncode == 0, ended.stderr
    assert target.keys() == sorted(set(links(played)) - set(before))
    target.clear()
    before = links(played)
    played.config = None
    assert played.run().returncode == 0
    assert command.sent()[0] == 20
    assert target.keys() == sorted(set(links(played)) - set(before))


def test_the_running_dispatcher_is_named(played, tmp_path):
    """Exit code 4: its sink sends by itself, or it has no such sink; nothing is done."""
    target = Table(tmp_path)
    command = Command(tmp_path, target.sinks)
    running = played.start()
    played.sandbox.wait_for_effects(60)
    other = command.run()
    assert other.returncode == 4
    assert f"dispatcher (pid {running.pid}) does not send to sink out" in other.stderr
    running.terminate()
    running.communicate(20)
    assert target.keys() == []
    played.config = command.config
    running = played.start()
    wait_for_rows(target, 60)
    same = command.run()
    assert (same.returncode, same.stdout) == (4, "")
    assert f"sink out is already running: the dispatcher (pid {running.pid})" in same.stderr
    assert "0 rows wait" in same.stderr
    running.terminate()
    running.communicate(20)


@of_a_file("only a file has a lock, a mode and copies of this kind")
def test_another_process_with_the_ledger_is_named(tmp_path, stack):
    """One that takes no commands, such as another export."""
    target = Table(tmp_path)
    command = Command(tmp_path, target.sinks)
    fill_lineage(command.ledger, "c1", range(3))
    lock = LedgerLock(command.ledger)
    stack.callback(lock.release)
    done = command.run()
    assert done.returncode == 4
    assert f"another process (pid {os.getpid()}) uses it" in done.stderr
    assert target.keys() == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "no sink has the name none; sinks of [[sinks]] that take lineage: out"),
        ("ops", "sink ops is a webhook: it gets notices and no lineage; sinks of [[sinks]] that "),
    ],
)
def test_a_name_that_is_wrong(tmp_path, name, words):
    """Exit code 2, with the names that are right."""
    command = Command(tmp_path, Table(tmp_path).sinks + HOOK)
    fill_lineage(command.ledger, "c1", range(3))
    done = command.run(to=name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"dispatcher: {words}")


def test_options_that_have_no_effect_are_refused(tmp_path):
    """Those of a file with --to, and those of --to with a file."""
    command = Command(tmp_path, Table(tmp_path).sinks)
    done = command.run("--since", "3")
    assert done.returncode == 2
    assert "--since is for a file" in done.stderr
    export = ["-m", "dispatcher", "lineage", "export", "--ledger", "ledger.db", "--progress"]
    done = run(export, command.environment)
    assert done.returncode == 2
    assert "--progress is for --to" in done.stderr


def test_a_ledger_that_is_not_there(tmp_path):
    """Nothing is made for a path that was mistyped."""
    command = Command(tmp_path, Table(tmp_path).sinks)
    done = command.run()
    assert done.returncode == 4
    missing = "there is no such file" if KIND == "file" else "there is no ledger in this database"
    assert missing in done.stderr
    assert not command.ledger.exists()


@of_a_file("only a file has a lock, a mode and copies of this kind")
def test_a_copy_of_the_ledger_sends_nothing(tmp_path):
    """Its place may be behind what the other file has sent."""
    target = Table(tmp_path)
    command = Command(tmp_path, target.sinks)
    original = tmp_path / "original.db"
    fill_lineage(original, "c1", range(3))
    shutil.copy(original, command.ledger)
    done = command.run()
    assert done.returncode == 4
    assert "this is a copy" in done.stderr
    assert target.keys() == []


def test_a_sink_that_is_away_is_named(tmp_path):
    """Exit code 3 after some tries: what, where, what waits and what to do; then it continues."""
    address, endpoint = "s3://exports", f"http://127.0.0.1:{free_port()}"
    lines = f'url = "{address}/lineage/"', f'endpoint = "{endpoint}"', "allow_http = true"
    command = Command(tmp_path, sink("objects", *lines))
    fill_lineage(command.ledger, "c1", range(25))
    done = command.run()
    assert (done.returncode, done.stdout) == (3, "")
    lines = done.stderr.splitlines()
    assert f"sink out: {address}/lineage/: the store does not answer" in lines[0]
    assert "0 rows have gone out, and up to 25 wait in the ledger" in lines[-1]
    assert "Mend the sink" in lines[-1]
    assert "aws-secret" not in done.stderr


def test_a_sink_that_comes_back_gets_the_rest(tmp_path):
    """What failed is tried again for some seconds, each row is there once."""
    target = Table(tmp_path)
    command = Command(tmp_path, target.sinks)
    fill_lineage(command.ledger, "c1", range(25))
    target.case.path.mkdir()
    running = Forked(command.line(), command.environment)
    assert "the database does not take the rows" in running.stderr.readline()
    target.case.path.rmdir()
    out, _ = running.communicate(30)
    assert (running.returncode, SENT.fullmatch(out).groups()) == (0, ("25", "3"))
    assert target.keys() == once(*range(25))


@pytest.fixture
def unprivileged():
    """A folder that a user without privileges may be given."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@of_a_file("only a file has a lock, a mode and copies of this kind")
def test_a_ledger_that_may_only_be_read(unprivileged):
    """Nothing is sent, because the place could not be written; a file can be exported."""
    target = Table(unprivileged)
    command = Command(unprivileged, target.sinks)
    fill_lineage(command.ledger, "c1", range(3))
    for each in unprivileged.iterdir():
        shutil.chown(each, NOBODY, NOBODY)
        each.chmod(0o400)
    program = UNPRIVILEGED.format(user=NOBODY)
    unprivileged.chmod(0o555)
    done = run(["-c", program, *command.line()[2:]], command.environment)
    assert done.returncode == 4, done.stderr
    assert "Permission denied" in done.stderr
    assert "dispatcher lineage export --out FILE only reads it" in done.stderr
    assert target.keys() == []
    line = ["lineage", "export", "--ledger", str(command.ledger), "--format", "jsonl"]
    exported = run(["-c", program, *line], command.environment)
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count("\n") == 3


def test_a_terminal_shows_a_bar(tmp_path):
    """With what has gone out, of all that waits."""
    target = Table(tmp_path)
    command = Command(tmp_path, target.sinks)
    fill_lineage(command.ledger, "c1", range(ROWS))
    ours, theirs = pty.openpty()
    environment = command.environment | {"TERM": "xterm-256color", "COLUMNS": "100"}
    running = Forked(command.line(), environment, terminal=theirs)
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    out, _ = running.communicate(30)
    assert SENT.fullmatch(out)
    os.close(ours)
    steps = [int(step) for step in re.findall(rb"(\d+)/%d" % ROWS, shown)]
    assert any(0 < step < ROWS for step in steps)
    assert b"verdicts" in shown


def test_elsewhere_lines_show_how_much_is_done(tmp_path, monkeypatch):
    """On standard error; the summary is on standard output."""
    monkeypatch.setattr("dispatcher.cli.progress.LINE_SECONDS", 0.0)
    command = Command(tmp_path, Table(tmp_path).sinks)
    fill_lineage(command.ledger, "c1", range(25))
    done = CliRunner().invoke(cli, command.line()[2:])
    assert done.stderr.splitlines() == [f"rows {n} of 25, verdicts 0" for n in (10, 20, 25)]
    assert SENT.fullmatch(done.stdout)


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last one has closed it
        return b""
