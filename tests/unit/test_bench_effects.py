"""The account of a run: who was written to twice, missed, or by mistake."""

import json

from benchmarks.effects import Account, EffectsReader, account

ROWS = ["active-1-0", "ended-1-1", "swapped-1-2", "channel-1-3", "closed-1-4"]


def notified(conversation):
    return {"conversationId": conversation, "previousConversationId": None}


def linked(previous, number=1):
    return {"conversationId": f"new-{number}-{previous}", "previousConversationId": previous}


def test_a_right_run_has_nobody_twice_missed_or_wrong():
    """Those whom no correct program can reach are not missed."""
    effects = [notified("active-1-0"), linked("ended-1-1"), linked("closed-1-4")]
    assert account(effects, ROWS, "messaging") == Account(3, 3, 0, 0, 0)


def test_people_are_counted_not_messages():
    """Three messages to one person are one person twice; the others are missed."""
    effects = [linked("ended-1-1", 1), linked("ended-1-1", 2), linked("ended-1-1", 3)]
    assert account(effects, ROWS, "messaging") == Account(3, 1, 1, 2, 0)


def test_a_message_into_the_conversation_that_was_opened_reaches_the_same_person():
    """The second message goes into the conversation that the first one opened."""
    effects = [linked("ended-1-1"), notified("new-1-ended-1-1")]
    assert account(effects, ["ended-1-1"], "messaging").twice == 1


def test_a_message_to_a_person_whom_the_row_does_not_name_is_wrong():
    """The row and the platform name different people."""
    assert account([linked("swapped-1-2")], ["swapped-1-2"], "messaging") == Account(1, 1, 0, 0, 1)


def test_the_dialect_decides_who_can_be_reached():
    """A session whose address is unknown is reached by its external contact in ``genesys``."""
    rows = ["noaddress-1-0"]
    assert [account([], rows, dialect).missed for dialect in ("messaging", "genesys")] == [0, 1]


def test_effects_are_read_once(tmp_path):
    """Each reading has what was written since the one before."""
    log = tmp_path / "effects.jsonl"
    log.write_text(json.dumps({"n": 1}) + "\n")
    reader = EffectsReader(log)
    assert reader.read() == [{"n": 1}]
    assert reader.read() == []
    with log.open("a") as file:
        file.write(json.dumps({"n": 2}) + "\n")
    assert reader.read() == [{"n": 2}]
