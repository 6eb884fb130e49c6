"""Each role of deploy/roles.sql can do everything that it is for, and nothing else."""

import os
import re
import subprocess
import uuid
from pathlib import Path

import psycopg
import pytest

from dispatcher.sandbox.contact_files import write_contacts
from tests.support.forked_process import Forked, clean_environment
from tests.support.servers.postgres import PASSWORD, binaries
from tests.support.servers.shared import on
from tests.support.two_daemons import two_daemons

pytestmark = [on("postgres_server"), pytest.mark.timeout(120)]

ROLES = (Path(__file__).parents[2] / "deploy" / "roles.sql").read_text()
COUNT = 24


class Roles:
    """A database with the roles, under names of its own: roles are those of a whole server."""

    def __init__(self, server):
        self.database = server.database()
        self._mark = f"r{uuid.uuid4().hex[:8]}"
        self.make()
        for role in ("owner", "run", "read", "backup"):
            self.database.execute(f"ALTER ROLE {self._mark}_{role} PASSWORD '{PASSWORD}'")

    def make(self, database=None):
        """Execute roles.sql as an administrator."""
        names = re.sub(r"dispatcher_(\w+)", rf"{self._mark}_\1", ROLES)
        (database or self.database).execute(names)

    def backup(self, role, file):
        """Dump the ledger as a role; return the exit code and what was printed."""
        options = ["--schema=dispatcher", "--format=custom", f"--file={file}"]
        ended = subprocess.run(
            [binaries() / "pg_dump", *options, self.url(role)], check=False, capture_output=True,
            env={**os.environ, "PGPASSWORD": PASSWORD}, text=True,
        )  # fmt: skip
        return ended.returncode, ended.stderr

    def url(self, role):
        return (
            f"postgresql://{self._mark}_{role}@127.0.0.1:{self.database.port}/{self.database.name}"
        )

    def command(self, role, *arguments, typed=""):
        """Run a command as a role; return its exit code and all that it printed."""
        ledger = ["--ledger", self.url(role)]
        environment = {**clean_environment(), "PGPASSWORD": PASSWORD}
        process = Forked(["-m", "dispatcher", *arguments, *ledger], environment, typed)
        out, err = process.communicate(30)
        return process.returncode, out + err

    def refuses(self, role, statement):
        """Check that a role lacks the permission for a statement."""
        with (
            psycopg.connect(self.url(role), password=PASSWORD) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)

    def rights(self, role):
        """Which rights a role has on tables, columns apart, by what the server says."""
        rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
        query = (
            "SELECT DISTINCT right_name FROM pg_class, unnest(%s::text[]) AS right_name "
            "WHERE relnamespace = 'dispatcher'::regnamespace AND relkind IN ('r', 'v') "
            "AND has_table_privilege(oid, right_name)"
        )
        with psycopg.connect(self.url(role), password=PASSWORD) as connection:
            return {name for (name,) in connection.execute(query, [list(rights)])}


@pytest.fixture
def roles(postgres_server):
    return Roles(postgres_server)


@pytest.fixture
def pair(roles, tmp_path):
    """A platform, on which a run uses the role of runs."""
    with two_daemons(tmp_path, roles.database) as made:
        made.settings = {"ledger.url": roles.url("run"), "message.text": "Hello {first_name}"}
        shares = {"ended": 1.0, "active": 1.0, "loop": 1.0, "gone": 1.0}
        made.contacts.mkdir()
        write_contacts(made.contacts / "some.csv", count=COUNT, shares=shares)
        yield made


def test_a_run_and_every_command_need_no_more_than_the_role_of_runs(roles, pair, tmp_path):
    """Also pruning; the tables are the owner's alone, and so is their vacuum after an erasure."""
    code, said = pair.start("--once").ended()
    assert code == 4, said
    assert "run `dispatcher ledger migrate` as the role that owns them" in said
    assert roles.command("owner", "ledger", "migrate")[0] == 0
    code, said = pair.start("--once").ended()
    assert (code, pair.left()) == (0, 0), said
    statuses = "SELECT DISTINCT ON (status) status, key FROM dispatcher.contact"
    keys = dict(pair.rows(statuses))
    key, parked = keys["opened"], keys["parked"]
    commands = [
        ("status",),
        ("explain", key),
        ("parked", "list"),
        ("parked", "show", parked),
        ("parked", "drop", parked, "--yes"),
        ("parked", "replay", "--reason", "retry_loop", "--yes"),
        ("rejected", "export", "--out", str(tmp_path / "rejected.jsonl")),
        ("rejected", "replay", "--reason", "conversation_gone", "--yes"),
        ("lineage", "export", "--out", str(tmp_path / "lineage.csv")),
        ("pause",),
        ("resume",),
        ("ledger", "verify"),
        ("ledger", "prune", "--older-than", "1d"),
        ("ledger", "migrate"),
    ]
    ended = {words: roles.command("run", *words) for words in commands}
    assert {words: end for words, end in ended.items() if end[0] or "ermission" in end[1]} == {}
    code, said = roles.command("run", "ledger", "forget", key)
    assert (code, "1 contact and 0 rejected rows were erased" in said) == (4, True)
    assert "as the role that owns them, or let it execute VACUUM (ANALYZE) dispatcher.co" in said
    vacuumed = "SELECT count(last_vacuum) FROM pg_stat_user_tables WHERE schemaname = 'dispatcher'"
    assert pair.rows(vacuumed) == [(0,)]
    code, said = roles.command("owner", "ledger", "forget", key)
    assert (code, said) == (0, "Nothing is left to erase: the ledger has only a hash of it.\n")
    assert pair.rows(vacuumed) == [(4,)]
    assert roles.rights("run") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for statement in ("DROP TABLE dispatcher.contact", "CREATE TABLE dispatcher.mine (a int)"):
        roles.refuses("run", statement)


def test_the_role_of_readers_reads_and_changes_nothing(roles, pair, tmp_path):
    """It cannot claim either: no function may be executed by everybody."""
    assert roles.command("owner", "ledger", "migrate")[0] == 0
    assert pair.start("--once").ended()[0] == 0
    key = pair.rows("SELECT key FROM dispatcher.contact LIMIT 1")[0][0]
    reading = [
        ("status",),
        ("explain", key),
        ("parked", "list"),
        ("rejected", "export", "--out", str(tmp_path / "rejected.jsonl")),
        ("lineage", "export", "--out", str(tmp_path / "lineage.csv")),
        ("ledger", "verify"),
    ]
    ended = {words: roles.command("read", *words) for words in reading}
    assert {words: end for words, end in ended.items() if end[0]} == {}
    assert roles.rights("read") == {"SELECT"}
    code, said = roles.command("read", "pause")
    assert code == 4, said
    assert "this user lacks a permission" in said
    roles.refuses("read", "SELECT dispatcher.leave(1)")


def test_the_roles_are_made_again_and_beside_tables_that_are_there(roles, postgres_server):
    """For a second ledger on the server, and for tables that another user has made before."""
    second = postgres_server.database()
    roles.make(second)
    roles.make(second)
    assert roles.command("owner", "ledger", "migrate")[0] == 0
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        take = f"REVOKE ALL ON ALL {kind} IN SCHEMA dispatcher FROM {{}}"
        for role in ("run", "read", "backup"):
            roles.database.execute(take.format(roles.url(role).split("//")[1].split("@")[0]))
    roles.database.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA dispatcher TO PUBLIC")
    assert roles.command("read", "status")[0] == 4
    roles.make()
    assert roles.command("read", "status")[0] == 0
    assert roles.rights("run") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    roles.refuses("read", "SELECT dispatcher.leave(1)")


def test_the_role_of_backups_can_dump_all_and_change_nothing(roles, tmp_path):
    """Also what a migration has just made; the other roles cannot read the sequences."""
    assert roles.command("owner", "ledger", "migrate")[0] == 0
    file = tmp_path / "ledger.dump"
    assert roles.backup("backup", file) == (0, "")
    kept = subprocess.run(
        [binaries() / "pg_restore", "--list", file], check=True, capture_output=True, text=True
    ).stdout
    for entry in ("TABLE DATA dispatcher contact", "SEQUENCE SET dispatcher contact_id_seq"):
        assert entry in kept
    assert roles.rights("backup") == {"SELECT"}
    roles.refuses("backup", "SELECT dispatcher.leave(1)")
    assert roles.backup("read", tmp_path / "none.dump")[0] != 0
