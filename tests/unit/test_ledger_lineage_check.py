"""The lineage of a ledger: read over all campaigns, and marked with what the platform shows."""

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.lineage_check import LinkVerdict
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.lineage_check import ExclusiveLinkStore
from dispatcher.ports import Batch, Intent, LedgerError, Settlement
from dispatcher.ports.questions import UnverifiedLinks
from tests.support.ledger_reader import LedgerReader

NOW = 1000.0


async def deliver(path, campaign, *numbers, at=NOW):
    """Send to some contacts of a campaign."""
    async with await SqliteLedger.open(path, campaign, now=lambda: at) as ledger:
        batch = Batch([Contact(f"k-{n}", f"c-{n}", "Hello") for n in numbers])
        for claim in (await ledger.admit(batch, at, len(numbers))).claims:
            sent_to = claim.contact.conversation_id
            await ledger.intend(Intent(claim.id, Step.NOTIFY, Notify(sent_to), at, Progress()))
            await ledger.settle(
                Settlement(
                    claim.id, Status.NOTIFIED, Reason.DELIVERED, at, Progress(),
                    relation=Relation.NOTIFIED, conversation_id=sent_to, message_id=f"m-{sent_to}",
                )
            )  # fmt: skip


@pytest.fixture
async def path(tmp_path):
    """A ledger of two campaigns that were sent in turns."""
    path = tmp_path / "ledger.db"
    await deliver(path, "one", 1, 2)
    await deliver(path, "two", 3)
    await deliver(path, "one", 4, at=NOW + 50)
    return path


def lineage_rows(path, campaign, after=0):
    with LedgerReader(path, campaign) as reader:
        return list(reader.lineage(after))


def keys(rows):
    return [row.contact_key for row in rows]


async def test_rows_come_in_the_order_of_their_commits_and_from_a_cursor_on(path):
    """Of one campaign or of all; an increment begins behind the cursor."""
    everything = lineage_rows(path, None)
    assert keys(everything) == ["k-1", "k-2", "k-3", "k-4"]
    assert keys(lineage_rows(path, "one")) == ["k-1", "k-2", "k-4"]
    await deliver(path, "two", 5)
    assert keys(lineage_rows(path, None, everything[-1].id)) == ["k-5"]
    with pytest.raises(LedgerError, match="'three' is not in it; it holds: one, two"):
        lineage_rows(path, "three")


async def test_only_what_is_old_enough_and_not_confirmed_waits(path):
    """A missing link is asked about again, a confirmed one never; marks are there afterwards."""
    with ExclusiveLinkStore(path, UnverifiedLinks(NOW + 10)) as links:
        first = links.page(0, 100)
        assert [link.previous_conversation_id for link in first] == ["c-1", "c-2", "c-3"]
        assert (first[0].message_id, first[0].sent_at) == ("m-c-1", NOW)
        verdicts = (LinkVerdict.CONFIRMED, LinkVerdict.MISSING, LinkVerdict.DIFFERENT)
        found = {link.id: verdict for link, verdict in zip(first, verdicts, strict=True)}
        links.mark(found, NOW + 20)
        assert [link.id for link in links.page(0, 100)] == [first[1].id, first[2].id]
        assert [link.id for link in links.page(first[1].id, 1)] == [first[2].id]
    with ExclusiveLinkStore(path, UnverifiedLinks(NOW + 60, "one")) as links:
        again = [link.previous_conversation_id for link in links.page(0, 100)]
        assert again == ["c-2", "c-4"]
    marks = [(row.verified, row.verified_at) for row in lineage_rows(path, None)]
    assert marks[0] == ("confirmed", NOW + 20)
    assert marks[3] == (None, None)


async def test_a_ledger_that_is_not_there_or_not_free_is_left_alone(path, tmp_path):
    """No file is made for a name that was mistyped; a daemon keeps its ledger."""
    with pytest.raises(LedgerError, match="there is no such file"):
        ExclusiveLinkStore(tmp_path / "typo.db", UnverifiedLinks(NOW))
    assert not list(tmp_path.glob("typo*"))
    with pytest.raises(LedgerError, match="'three' is not in it"):
        ExclusiveLinkStore(path, UnverifiedLinks(NOW, "three"))
    async with await SqliteLedger.open(path, "one"):
        with pytest.raises(LedgerError, match="another dispatcher"):
            ExclusiveLinkStore(path, UnverifiedLinks(NOW))
