"""Files of contacts, and the outcome that is right for each kind."""

import csv
from collections import Counter

from dispatcher.sandbox.contact_files import expected, write_contacts
from dispatcher.sandbox.conversation_kinds import KINDS


def test_a_file_of_contacts(tmp_path):
    path = tmp_path / "contacts.csv"
    shares = {"ended": 8, "stranger": 1, "noidentity": 1}
    written = write_contacts(path, count=25_000, shares=shares, seed=5, with_keys=True)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["conversation_id"] for row in rows}) == 25_000
    assert Counter(row["conversation_id"].split("-")[0] for row in rows) == written
    by_kind = {row["conversation_id"].split("-")[0]: row for row in rows}
    ended, stranger = by_kind["ended"], by_kind["stranger"]
    assert ended["external_contact_id"] == "x-" + ended["conversation_id"]
    assert stranger["external_contact_id"].startswith("x-somebody-else-")
    assert by_kind["noidentity"]["external_contact_id"] == ""
    assert rows[7]["contact_key"] == "k-7"


def test_the_same_seed_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        write_contacts(tmp_path / name, count=100, shares={"ended": 1, "gone": 1}, seed=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_to_be_filtered_are_not_counted(tmp_path):
    path = tmp_path / "c.csv"
    written = write_contacts(path, count=1000, shares={"ended": 1}, skip_share=0.3)
    assert path.read_text().count(",abandoned\n") == written.total()
    assert 200 < path.read_text().count(",completed\n") < 400


def test_a_file_may_have_what_an_export_knows_of_sessions(tmp_path):
    path = tmp_path / "c.csv"
    shares = {"ended": 1, "active": 1, "closed": 1, "noaddress": 1}
    write_contacts(path, count=100, shares=shares, with_sessions=True)
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["conversation_id"].split("-")[0]: row for row in csv.DictReader(file)}
    assert rows["ended"]["address"] == "a-" + rows["ended"]["conversation_id"]
    assert rows["noaddress"]["address"] == ""
    assert {kind: row["session_status"] for kind, row in rows.items()} == {
        "ended": "ended",
        "active": "open",
        "closed": "closed",
        "noaddress": "ended",
    }
    assert rows["active"]["session_ended_at"] == ""
    assert rows["ended"]["session_ended_at"] == "2026-11-20T18:00:00Z"


def test_every_kind_says_how_it_should_end():
    assert expected("neverends") == ("parked", "never_ended")
    assert {expected(kind)[0] for kind in KINDS} == {"notified", "opened", "parked", "rejected"}
