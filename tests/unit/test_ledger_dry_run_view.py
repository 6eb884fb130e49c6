"""What a plan asks of a ledger, read-only."""

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.read.dry_run_view import DryRunView
from dispatcher.ports import Batch, LedgerError, Settlement, Stream

NOW = 1000.0
PLACE = Stream("file", "fingerprint", "10", 3, done=False)


def contacts(*numbers):
    return [Contact(f"key-{n}", f"c-{n}", "Hello", external_contact_id="p") for n in numbers]


async def test_without_a_ledger_nothing_is_known_and_none_is_made(tmp_path):
    """Duplicates within the source are known all the same, in one batch and over several."""
    path = tmp_path / "none.db"
    with DryRunView(path, "c") as survey:
        assert (survey.streams(), list(survey.waiting()), survey.in_doubt) == ({}, [], 0)
        first = survey.take_new(contacts(1, 2, 1))
        assert [contact.key for contact in first] == ["key-1", "key-2"]
        assert [contact.key for contact in survey.take_new(contacts(2, 3))] == ["key-3"]
        assert len(survey.take_new(contacts(*range(2000)))) == 1997
    assert list(tmp_path.iterdir()) == []


async def test_a_ledger_tells_its_keys_positions_and_waiting_contacts(tmp_path):
    """While a daemon has it: nothing that is settled waits, and progress is known."""
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path, "c", now=lambda: NOW) as ledger:
        admitted = await ledger.admit(Batch(contacts(1, 2, 3, 4), stream=PLACE), NOW, 2)
        one, two = admitted.claims
        await ledger.settle(
            Settlement(one.id, Status.SKIPPED, Reason.EXPIRED, NOW, Progress())
        )  # fmt: skip
        await ledger.defer(two.id, NOW + 60, Progress(unknown=2))
        before = path.read_bytes()
        with DryRunView(path, "c") as survey:
            assert survey.streams() == {"fingerprint": PLACE}
            assert [contact.key for contact in survey.take_new(contacts(1, 2, 9))] == ["key-9"]
            waiting = {claim.contact.key: claim for claim in survey.waiting()}
        assert path.read_bytes() == before
    assert sorted(waiting) == ["key-2", "key-3", "key-4"]
    assert waiting["key-2"].contact.not_before == NOW + 60
    assert waiting["key-2"].progress.unknown == 2
    assert waiting["key-3"].contact.external_contact_id == "p"
    with DryRunView(path, "another campaign") as survey:
        assert len(survey.take_new(contacts(1))) == 1


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    """A clear error, and the file stays as it is."""
    path = tmp_path / "other.db"
    path.write_text("this is a letter to somebody, and no database at all" * 20)
    with pytest.raises(LedgerError, match="not a SQLite database"):
        DryRunView(path, "c")
