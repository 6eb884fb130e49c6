"""A ledger whose contacts were all sent to, made without a run."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ports import Batch, Claim, Intent, Ledger, Settlement
from tests.support.ledgers import AnyLedger, open_store

NOW = 1000.0


def fill_lineage(there: AnyLedger, campaign: str, numbers: Iterable[int]) -> None:
    """Write one row of the lineage for each number; its contact is ``key-NUMBER``."""
    asyncio.run(_fill(there, campaign, list(numbers)))


async def _fill(there: AnyLedger, campaign: str, numbers: list[int]) -> None:
    store = await open_store(there, campaign)
    try:
        ledger = await store.campaign(campaign)
        contacts = [Contact(f"key-{n}", f"old-{n}", "Hello") for n in numbers]
        admitted = await ledger.admit(Batch(contacts), NOW, len(contacts))
        await asyncio.gather(*(_deliver(ledger, claim) for claim in admitted.claims))
    finally:
        await store.close()


async def _deliver(ledger: Ledger, claim: Claim) -> None:
    conversation = claim.contact.conversation_id
    await ledger.intend(Intent(claim.id, Step.NOTIFY, Notify(conversation), NOW, NEW))
    await ledger.settle(
        Settlement(
            claim.id,
            Status.NOTIFIED,
            Reason.DELIVERED,
            NOW + 1,
            replace(claim.progress, sends=1),
            relation=Relation.NOTIFIED,
            conversation_id=conversation,
            message_id=f"message-{claim.id}",
        )
    )
