"""Group commit: one transaction for many callers, and each gets its own answer."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Batch, LedgerError, Settlement

NOW = 1000.0


def batch(count, start=0):
    numbers = range(start, start + count)
    return Batch([Contact(f"key-{n}", f"conversation-{n}", f"Hello {n}") for n in numbers])


def skipped(id_, words=""):
    return Settlement(id_, Status.SKIPPED, Reason.EXPIRED, NOW, NEW, words=words)


@pytest.fixture
async def ledger(tmp_path):
    async with await SqliteLedger.open(tmp_path / "ledger.db", "c") as opened:
        yield opened


async def count_settled(ledger):
    return (await ledger.totals()).by_status.get((Status.SKIPPED, Reason.EXPIRED), 0)


async def test_only_the_bad_operation_of_a_group_fails(ledger):
    """Fifty settlements at once, one impossible, one unwritable: the other 48 are durable."""
    claims = (await ledger.admit(batch(50), NOW, 50)).claims
    settlements = [skipped(claim.id) for claim in claims]
    settlements[7] = skipped(99999)
    settlements[9] = skipped(claims[9].id, words="\ud800")
    answers = await asyncio.gather(
        *(ledger.settle(item) for item in settlements), return_exceptions=True
    )
    failed = [number for number, answer in enumerate(answers) if answer is not None]
    assert failed == [7, 9]
    assert all(isinstance(answers[number], LedgerError) for number in failed)
    assert "contact 99999: it is not in it" in str(answers[7])
    assert await count_settled(ledger) == 48


async def test_a_batch_that_cannot_be_written_leaves_no_trace(ledger):
    """An admission fails alone: not one of its contacts is there, nor is it in the sums."""
    (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims
    good = batch(100, 10).contacts
    bad = Batch([*good, Contact("key", "conversation", "\ud800")])
    refused, settled, admitted = await asyncio.gather(
        ledger.admit(bad, NOW, 9),
        ledger.settle(skipped(claim.id)),
        ledger.admit(batch(5, 10), NOW, 9),
        return_exceptions=True,
    )
    assert isinstance(refused, LedgerError)
    assert settled is None
    assert admitted.admitted == 5
    totals = await ledger.totals()
    assert (totals.rows, totals.admitted) == (6, 6)


async def test_two_changes_of_one_contact_in_one_group(ledger):
    """A contact's changes are carried out in the order in which they were asked for."""
    (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims
    await asyncio.gather(
        ledger.defer(claim.id, NOW + 1, NEW), ledger.claim(1, NOW + 1), ledger.backlog(NOW)
    )
    results = await asyncio.gather(
        ledger.settle(skipped(claim.id)), ledger.settle(skipped(claim.id)), return_exceptions=True
    )
    assert results[0] is None
    assert isinstance(results[1], LedgerError)


async def test_a_cancelled_callers_write_is_there(ledger):
    """Cancelling a caller does not cancel its write, in a group with others or alone."""
    claims = (await ledger.admit(batch(3), NOW, 3)).claims
    waiting = [asyncio.ensure_future(ledger.settle(skipped(item.id))) for item in claims]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [item.cancelled() for item in waiting] == [True, False, True]
    assert await count_settled(ledger) == 3


async def test_closing_writes_what_is_queued(tmp_path):
    """A call before the closing gets its result, a call after it an error."""
    path = tmp_path / "ledger.db"
    ledger = await SqliteLedger.open(path, "c")
    claims = (await ledger.admit(batch(9), NOW, 9)).claims
    waiting = [asyncio.ensure_future(ledger.settle(skipped(item.id))) for item in claims]
    await asyncio.sleep(0)
    await ledger.close()
    await ledger.close()
    assert await asyncio.gather(*waiting) == [None] * 9
    with pytest.raises(LedgerError, match="closed"):
        await ledger.totals()
    async with await SqliteLedger.open(path, "c") as again:
        assert await count_settled(again) == 9


async def test_a_failed_commit_stops_everything(ledger):
    """With no page left, all callers of the group and every later one get the reason."""
    claims = (await ledger.admit(batch(2), NOW, 2)).claims

    def limit(connection):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await ledger._writer.job(limit)
    answers = await asyncio.gather(
        ledger.admit(batch(2000, 10), NOW, 0),
        ledger.settle(skipped(claims[0].id)),
        return_exceptions=True,
    )
    assert all("the disk is full; free some space" in str(answer) for answer in answers)
    for later in (ledger.settle(skipped(claims[1].id)), ledger.claim(1, NOW), ledger.totals()):
        with pytest.raises(LedgerError, match="the disk is full"):
            await later


async def test_nothing_of_a_failed_group_is_there_afterwards(tmp_path):
    """What was reported as failed is not in the ledger when it is opened again."""
    path = tmp_path / "ledger.db"
    ledger = await SqliteLedger.open(path, "c")
    (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims

    def fail(connection):
        raise sqlite3.OperationalError("disk I/O error")

    answers = await asyncio.gather(
        ledger.settle(skipped(claim.id)), ledger._writer.job(fail), return_exceptions=True
    )
    assert all(isinstance(answer, LedgerError) for answer in answers)
    await ledger.close()
    async with await SqliteLedger.open(path, "c") as again:
        assert await count_settled(again) == 0


def test_a_file_size_limit_is_reported_in_words(tmp_path):
    """Where the system refuses to write, the message says so, and no traceback follows."""
    program = """
        import asyncio, resource, signal, sys
        from dispatcher.domain.contact import Contact
        from dispatcher.ledgers.ledger import SqliteLedger
        from dispatcher.ports import Batch, LedgerError

        async def main():
            ledger = await SqliteLedger.open(sys.argv[1], "c")
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
            number = 0
            try:
                while True:
                    batch = [Contact(f"{number}-{n}", "c", "text " * 50) for n in range(200)]
                    await ledger.admit(Batch(batch), 1.0, 0)
                    number += 1
            except LedgerError as error:
                print(error)
            await ledger.close()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "ledger.db"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "ledger.db: the disk" in done.stdout
    assert done.stderr == ""


async def test_the_event_loop_may_go_away(tmp_path):
    """A loop that ends without closing the ledger leaves no thread behind that complains."""

    async def forget():
        ledger = await SqliteLedger.open(tmp_path / "ledger.db", "c")
        await ledger.admit(batch(1), NOW, 0)
        return ledger, ledger.streams()

    def run():
        ledger, unanswered = asyncio.run(forget())
        unanswered.close()
        ledger._writer._queue.put(None)
        ledger._writer._thread.join(10)
        ledger._lock.release()
        return ledger._writer._thread.is_alive()

    assert not await asyncio.to_thread(run)
