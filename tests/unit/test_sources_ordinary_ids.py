"""Ids that need no further test."""

import pytest

from dispatcher.sources.rows.ordinary_ids import ordinary_id

is_ordinary = ordinary_id(["null", "n/a"], ["conversation_id", "_key", "a.b", ""])


@pytest.mark.parametrize("value", ["c-1", "conversation_id2", "nullx", "n1", "k_", "x~1", "_c"])
def test_an_id_that_begins_like_a_name_or_a_null_is_ordinary(value):
    """Most ids of an export begin with the same letter: the test of all must be the fast one."""
    assert is_ordinary(value)


@pytest.mark.parametrize(
    "value",
    ["conversation_id", "Conversation-ID", "CONVERSATIONID", "null", "NULL", "_key", "KEY", "A.B"],
)
def test_a_name_or_a_null_is_not_ordinary(value):
    """It is tested further, in each of its spellings."""
    assert not is_ordinary(value)
