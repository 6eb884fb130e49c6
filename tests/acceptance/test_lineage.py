"""The lineage after real runs: out of the ledger, and asked back from the platform."""

import csv
import io
import json
from datetime import datetime

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from dispatcher.cli import cli
from tests.support.ledgers import KIND, change
from tests.support.scenario_runner import CREDENTIALS, play


@pytest.fixture
def scenario(tmp_path):
    """Open and ended sessions, quickly."""
    path = tmp_path / "plain.toml"
    shares = "[world.shares]\nactive = 1\nended = 1\n"
    path.write_text(f"[rate]\nallowed = 4000\nwindow_seconds = 2.0\n{shares}")
    return path


def lineage(played, *more, code=0):
    """Run a command of the group; return what it printed, and what it told."""
    given = ["lineage", *more, "--ledger", str(played.ledger)]
    ended = CliRunner(env=CREDENTIALS).invoke(cli, given)
    assert ended.exit_code == code, ended.output
    assert "Traceback" not in ended.output
    return ended.stdout_bytes.decode(), ended.stderr


def verified(played, *more, code=0):
    """Ask the platform about every link; return the counts that were printed."""
    out, _ = lineage(
        played, "verify", "--platform-url", played.sandbox.url, "--min-age", "0", *more,
        "--set", "platform.requests_per_minute=60000", code=code,
    )  # fmt: skip
    return dict(line.split(": ") for line in out.splitlines() if ": " in line)


def tamper(played, sql):
    """Change the ledger behind everybody's back."""
    assert change(played.ledger, sql) == 1


def of(kind):
    """The lineage row of the first contact of a kind, as SQL."""
    return f"(SELECT MIN(id) FROM {{}}lineage_row WHERE previous_conversation_id LIKE '{kind}-%')"


def test_export_and_verify_after_real_runs(tmp_path, scenario):
    """Three formats carry equal rows, two increments are the whole, links are judged rightly."""
    with play(tmp_path, scenario, 240) as played:
        assert played.run("--limit", "90").returncode == 0
        cursor = ("--cursor-file", str(tmp_path / "cursor"))
        first, told = lineage(played, "export", "--format", "jsonl", *cursor)
        assert f"next cursor: {(tmp_path / 'cursor').read_text().strip()}" in told
        assert played.run().returncode == 0
        second, _ = lineage(played, "export", "--format", "jsonl", *cursor)
        third, _ = lineage(played, "export", "--format", "jsonl", *cursor)
        whole, _ = lineage(played, "export", "--format", "jsonl")
        assert first + second == whole, "no gap and no repeat"
        assert (first.count("\n"), third) == (90, "")
        effects = {effect["conversationId"] for effect in played.sandbox.effects()}
        rows = [json.loads(line) for line in whole.splitlines()]
        assert {row["conversation_id"] for row in rows} == effects
        assert len(rows) == 240
        _assert_equal_rows(played, rows, tmp_path)
        _assert_links_are_judged(played)


def _assert_equal_rows(played, rows, folder):
    out, _ = lineage(played, "export", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(out, newline="")))
    assert out.endswith("\r\n")
    assert [_from_csv(line) for line in lines] == rows
    file = folder / "lineage.parquet"
    lineage(played, "export", "--format", "parquet", "--out", str(file))
    table = parquet.read_table(file)
    assert table.column_names == list(rows[0])
    assert [_from_parquet(row) for row in table.to_pylist()] == rows


def _from_csv(line):
    row = {name: cell or None for name, cell in line.items()}
    numbers = {name: int(row[name]) for name in ("attempts", "sends")}
    return {**row, **numbers, "attributes": json.loads(row["attributes"])}


def _from_parquet(row):
    moments = {
        name: value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for name, value in row.items()
        if isinstance(value, datetime)
    }
    return {**row, **moments, "attributes": json.loads(row["attributes"])}


def _assert_links_are_judged(played):
    assert verified(played, "--limit", "100") == {
        "confirmed": "100", "missing": "0", "different": "0",
    }  # fmt: skip
    assert verified(played)["confirmed"] == "140", "what is confirmed is not asked about again"
    tamper(
        played,
        "UPDATE {}lineage SET verified = NULL, external_contact_id = 'x-somebody-else' "
        f"WHERE id = {of('ended')}",
    )
    tamper(
        played,
        "UPDATE {}lineage SET verified = NULL, message_id = 'm-never-sent' "
        f"WHERE id = {of('active')}",
    )
    assert verified(played, code=15) == {"confirmed": "0", "missing": "1", "different": "1"}
    calls = played.sandbox.counts()["answers"]["analytics"]["200"]
    assert calls == 1 + 2 + 1, "one look back serves a hundred links"
    marks = [row.verified for row in played.lineage().values()]
    assert (marks.count("different"), marks.count("missing")) == (1, 1)
    assert all(row.verified_at is not None for row in played.lineage().values())


def test_young_links_are_left_for_later_and_a_ledger_in_use_is_left_alone(tmp_path, scenario):
    """Within the lag nothing is asked; while a daemon has a file, verify says who has it."""
    with play(tmp_path, scenario, 20) as played:
        process = played.start()
        played.sandbox.wait_for_effects(20)
        if KIND == "file":
            _, told = lineage(played, "verify", "--platform-url", played.sandbox.url, code=4)
            assert f"pid {process.pid}" in told
        out, _ = lineage(played, "export")
        assert out.count("\r\n") > 1, "an export disturbs nobody"
        process.terminate()
        process.communicate(timeout=20)
        young = verified(played, "--min-age", "300")
        assert set(young.values()) == {"0"}
        assert "analytics" not in played.sandbox.counts()["answers"]


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path, scenario):
    """An increment is never lost to a name that was used before; nor is the cursor moved."""
    with play(tmp_path, scenario, 5) as played:
        assert played.run().returncode == 0
        out, cursor = tmp_path / "out.csv", tmp_path / "cursor"
        out.write_text("kept")
        given = ("export", "--out", str(out), "--cursor-file", str(cursor))
        _, told = lineage(played, *given, code=2)
        assert "--overwrite" in told
        assert (out.read_text(), cursor.exists()) == ("kept", False)
        lineage(played, *given, "--overwrite")
        assert len(out.read_text().splitlines()) == 6
        cursor.write_text("what is this")
        _, told = lineage(played, *given, "--overwrite", code=2)
        assert "contains no cursor" in told
