"""A ledger in a file that has a row of every kind, as runs, operators and crashes leave them."""

from dataclasses import replace
from pathlib import Path

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import Batch, Intent, Settlement, Stream
from dispatcher.ports.care import ErasureTarget, PruneOrder
from dispatcher.ports.notices import Notice
from dispatcher.ports.orders import PauseOrder, ReplayOrder, Selection
from dispatcher.ports.posts import RequestKey

NOW = 1_700_000_000.0


def contacts(first: int, last: int) -> list[Contact]:
    """Return contacts with every optional value, and odd text."""
    return [
        Contact(
            f"key-{n}",
            f"conversation-{n}",
            f"Hello {n} \0 \x10 \U0001f600 é",
            external_contact_id=f"external-{n}" if n % 3 else None,
            address=f"+49{n}",
            subject="Re: cart",
            not_before=NOW + n if n % 5 == 0 else None,
            expires_at=NOW + 10_000,
            attributes={"first_name": f"Ann\0{n}", "x": "1"},
        )
        for n in range(first, last)
    ]


async def _deliver(ledger, claim, at, *, opened=False):
    target = Target("guest", is_guest_id=True)
    external = claim.contact.external_contact_id
    if opened:
        decision = Open(target, external, claim.contact.conversation_id)
    else:
        decision = Notify(claim.contact.conversation_id)
    step = Step.OPEN if opened else Step.NOTIFY
    progress = replace(claim.progress, target=target, sends=1)
    await ledger.intend(Intent(claim.id, step, decision, at, progress, external))
    await ledger.settle(
        Settlement(
            claim.id,
            Status.OPENED if opened else Status.NOTIFIED,
            Reason.DELIVERED,
            at + 1,
            progress,
            relation=Relation.LINKED if opened else Relation.NOTIFIED,
            conversation_id=f"new-{claim.id}" if opened else claim.contact.conversation_id,
            message_id=f"message-{claim.id}",
            correlation_id=f"correlation-{claim.id}",
            external_contact_id=external,
            state_seen="ended",
            state_at=at,
            history=[(int(at * 1000), "notify", 202, "accepted", None, "c", None)],
        )
    )


async def _intend(ledger, claim, at):
    decision = Notify(claim.contact.conversation_id)
    external = claim.contact.external_contact_id
    await ledger.intend(Intent(claim.id, Step.NOTIFY, decision, at, claim.progress, external))


async def make(path: Path) -> None:
    """Make the ledger at ``path``: two campaigns, of which a run was killed."""
    store = await SqliteStore.open(path, "a", now=lambda: NOW)
    ledger, other = await store.campaign("a"), await store.campaign("b")
    rejected = [RejectedRow("f.csv", n, "bad_id", "no id", b"\xff\0x") for n in (2, 3)]
    stream = Stream("f.csv", "print", "10 3", 62, done=False)
    batch = Batch(contacts(0, 60), rejected, 1, stream)
    claims = (await ledger.admit(batch, NOW, 40)).claims
    for number, claim in enumerate(claims[:12]):
        await _deliver(ledger, claim, NOW + number, opened=number % 3 == 0)
    for claim in claims[12:18]:
        reason = Reason.EXHAUSTED if claim.id % 2 else Reason.RETRY_LOOP
        await ledger.settle(Settlement(claim.id, Status.PARKED, reason, NOW + 5, NEW, words="no"))
    for claim in claims[18:20]:
        await ledger.settle(Settlement(claim.id, Status.REJECTED, Reason.REFUSED, NOW + 6, NEW))
    for claim in claims[20:24]:
        await _intend(ledger, claim, NOW + 7)
    doubted = replace(claims[20].progress, doubted_at=NOW + 8)
    for claim in claims[20:22]:
        await ledger.mark_in_doubt(claim.id, NOW + 60 + claim.id, doubted)
    gone = replace(doubted, sends=1)
    await ledger.settle(Settlement(claims[21].id, Status.PARKED, Reason.IN_DOUBT, NOW + 90, gone))
    for claim in claims[24:27]:
        history = [(int(NOW * 1000), "deferred", "busy", 60)]
        await ledger.defer(claim.id, NOW + 60, replace(claim.progress, attempts=2), history)
    posted = Batch(contacts(100, 110), request=RequestKey("request", "digest"))
    for claim in (await other.admit(posted, NOW, 5)).claims:
        await _deliver(other, claim, NOW - 200_000)
    log, notices = store.lineage_log(), store.notice_log()
    await log.sink_place("warehouse", "verdicts")
    await log.sink_place("warehouse", "rows")
    (*_, (last, _row)) = await log.lineage_after("rows", "", 7)
    await log.begin_range("warehouse", "rows", last)
    await log.end_range("warehouse", "rows", last)
    await notices.begin_run("ops", [Notice("ended", "a", {"n": 1.5}, NOW)], NOW)
    await notices.add("ops", Notice("halted", "a", {"text": "é"}, NOW))
    await store.order(PauseOrder("b"))
    await store.order(ReplayOrder(Selection(NOW * 2, reason=Reason.EXHAUSTED, limit=1)))
    await store.close()
    operator = SqliteOperatorStore(path)
    operator.tend(PruneOrder(NOW - 100_000, campaign="b"))
    operator.tend(ErasureTarget("key-11"))
