"""A file with every kind of bad row mixed in: all good ones sent, every bad one kept."""

import random

from tests.support.ledger_reader import LedgerReader, read_status
from tests.support.scenario_runner import play

ROWS = 100_000
GOOD_SHARE = 0.05
"""Most good rows are filtered out, so that the sandbox's part stays short."""

BAD = {
    "no_id": b",Ann,abandoned,x\n",
    "columns": b"ended-bad,Ann,abandoned,x,y\n",
    "encoding": b"ended-bad,\xff\xfe,abandoned,x\n",
    "bad_quote": b'ended-bad,"Ann"b,abandoned,x\n',
    "a quote": b'ended-bad,"Ann,abandoned,x\n',
    "bad_id": b"ended/../bad,Ann,abandoned,x\n",
    "missing_placeholder": b"ended-bad,,abandoned,x\n",
    "text_too_long": b"ended-bad," + b"A" * 2100 + b",abandoned,x\n",
}
"""One row of each kind, by the reason that it must be kept with."""

QUOTING = {"a quote": ("open_quote", "bad_quote")}
"""A quote that never closes may also meet the next bad row's quote, and garbage behind it."""


def test_a_malicious_file_of_a_hundred_thousand_rows(tmp_path):
    """Each bad row is in the ledger with its line and reason, and the sum adds up."""
    dice = random.Random(7)
    expected_bad, good, filtered = {}, set(), 0
    scenario = tmp_path / "wide.toml"
    scenario.write_text(
        "[rate]\nallowed = 2000000\nwindow_seconds = 2.0\n[world.shares]\nended = 1\n"
    )
    with play(tmp_path, scenario, 1) as played:
        with played.contacts.open("wb") as out:
            out.write(b"conversation_id,first_name,status,note\n")
            for line in range(2, ROWS + 2):
                if dice.random() < 0.1:
                    reason, row = dice.choice(list(BAD.items()))
                    expected_bad[line] = reason
                    out.write(row)
                elif dice.random() < GOOD_SHARE:
                    good.add(f"active-{line:08x}-{line}")
                    out.write(f"active-{line:08x}-{line},Ann,abandoned,x\n".encode())
                else:
                    filtered += 1
                    out.write(f"active-{line:08x}-{line},Ann,completed,x\n".encode())
        settings = {"platform.requests_per_minute": 6000000, "telemetry.log_level": "warning"}
        played.settings = {**settings, "source.filter": '{ status = ["abandoned"] }'}
        ended = played.run(seconds=110)
        assert ended.returncode == 0, ended.stderr
        with LedgerReader(played.ledger, played.campaign) as reader:
            kept = {row.line: row.reason for row in reader.rejected()}
        assert set(kept) == set(expected_bad)
        for line, reason in expected_bad.items():
            assert kept[line] in QUOTING.get(reason, (reason,)), line
        reached = [effect["conversationId"] for effect in played.sandbox.effects()]
        assert sorted(reached) == sorted(good)
        (status,) = read_status(played.ledger, played.campaign, now=0.0)
        totals = status.totals
        assert totals.rows == ROWS
        assert totals.rows == (
            totals.admitted + totals.duplicates + totals.filtered + sum(totals.rejected.values())
        )
        assert (totals.admitted, totals.filtered) == (len(good), filtered)
