"""Several campaigns in one file, and the flag that pauses one of them."""

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Batch, LedgerError, Settlement, Stream
from tests.support.ledger_reader import read_status

NOW = 1000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def batch(count, before=None):
    contacts = [Contact(f"key-{n}", f"conversation-{n}", "Hello") for n in range(count)]
    return Batch(contacts, stream=Stream("f.csv", "print", "10", 2, done=False), before=before)


async def opened(path, *campaigns):
    first = await SqliteLedger.open(path, campaigns[0], now=lambda: NOW)
    return [first, *[await first.for_campaign(name) for name in campaigns[1:]]]


async def test_campaigns_of_one_file_do_not_affect_one_another(path):
    """The same people are new in each, with numbers, streams and sums of their own."""
    one, two = await opened(path, "one", "two")
    admitted = [await item.admit(batch(5), NOW, 3) for item in (one, two)]
    assert [item.admitted for item in admitted] == [5, 5]
    ids = [claim.id for item in admitted for claim in item.claims]
    assert len(set(ids)) == 6
    assert len(await two.claim(10, NOW)) == 2
    first = admitted[0].claims[0].id
    await one.settle(Settlement(first, Status.SKIPPED, Reason.EXPIRED, NOW, NEW))
    assert (await one.totals()).by_status[Status.SKIPPED, Reason.EXPIRED] == 1
    assert (Status.SKIPPED, Reason.EXPIRED) not in (await two.totals()).by_status
    assert list(await two.streams()) == ["print"]
    await one.close()


async def test_a_campaign_recovers_only_its_own_contacts(path):
    """What a dead daemon held of one is released by that one."""
    one, two = await opened(path, "one", "two")
    await one.admit(batch(4), NOW, 4)
    await two.admit(batch(3), NOW, 3)
    assert (await two.recover()).released == 3
    assert (await one.backlog(NOW)).claimed_or_sending == 4
    assert (await one.recover()).released == 4
    await one.close()


async def test_only_the_opener_closes(path):
    """A view that is closed changes nothing; with the opener's end its view is at an end, too."""
    one, two = await opened(path, "one", "two")
    await two.close()
    await two.admit(batch(1), NOW, 0)
    await one.close()
    with pytest.raises(LedgerError, match="closed"):
        await two.admit(batch(2), NOW, 0)
    await (await SqliteLedger.open(path, "two")).close()
    assert [item.campaign for item in read_status(path, now=NOW)] == ["one", "two"]


async def test_another_of_the_same_name_is_the_same_campaign(path):
    """A campaign is its name: nobody is new a second time."""
    one, again = await opened(path, "one", "one")
    await one.admit(batch(2), NOW, 0)
    assert (await again.admit(batch(3, before="10"), NOW, 0)).duplicates == 2
    await one.close()


async def test_a_pause_outlives_the_daemon_and_is_one_campaigns(path):
    """The flag stays until it is taken back; the first moment counts."""
    one, two = await opened(path, "one", "two")
    assert await one.paused() is None
    await one.pause(NOW)
    await one.pause(NOW + 5)
    assert (await one.paused(), await two.paused()) == (NOW, None)
    await one.close()
    one, two = await opened(path, "one", "two")
    assert (await one.paused(), await two.paused()) == (NOW, None)
    await one.resume()
    await one.resume()
    assert await one.paused() is None
    await one.close()
