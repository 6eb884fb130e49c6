"""Messages that took effect: their log, and when looking back shows them."""

import asyncio
import json
from hashlib import sha256

from dispatcher.sandbox.scenario.model import Analytics
from dispatcher.sandbox.world.effect_log import Effect, EffectLog
from dispatcher.sandbox.world.message_archive import MessageArchive


def effect(number=1, **fields):
    values = {
        "kind": "linked",
        "conversation_id": f"new-{number}-ended-1",
        "previous_id": "ended-1",
        "external_contact_id": "x-ended-1",
        "to": "g-ended-1",
        "text": "Hello",
        "time": 100.0,
    }
    return Effect(**(values | fields))


async def test_the_log_has_one_line_per_effect_soon_and_at_close(tmp_path):
    path = tmp_path / "effects.jsonl"
    counts = []
    log = EffectLog(path, with_text=True, on_effect=counts.append)
    assert [log.add(effect(n)) for n in range(2)] == ["m-00000001", "m-00000002"]
    await asyncio.sleep(0.15)
    assert path.read_text().count("\n") == 2
    log.add(effect(2))
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["n"] for line in lines] == counts == [1, 2, 3]
    assert lines[0] == {
        "n": 1,
        "time": 100.0,
        "kind": "linked",
        "conversationId": "new-0-ended-1",
        "previousConversationId": "ended-1",
        "externalContactId": "x-ended-1",
        "to": "g-ended-1",
        "messageId": "m-00000001",
        "text_sha256": sha256(b"Hello").hexdigest(),
        "text": "Hello",
    }


def test_looking_back_lags_by_message():
    """Stragglers come later than the others, and the same ones for one seed."""
    history = MessageArchive(
        Analytics(lag_seconds=5, straggler_share=0.2, straggler_lag_seconds=60), 1
    )
    for number in range(200):
        history.add(effect(number), f"m-{number}")
    counts = [len(history.continuing("ended-1", now)) for now in (104.9, 105.0, 160.0)]
    assert counts[0] == 0
    assert 140 < counts[1] < 180
    assert counts[2] == 200
    assert len(history.messages("new-3-ended-1", 160.0)) == 1


def test_messages_are_not_kept_where_nobody_looks_back():
    history = MessageArchive(Analytics(keep=False), 1)
    history.add(effect(), "m-1")
    assert history.continuing("ended-1", 1e9) == []
