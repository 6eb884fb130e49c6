"""Parts of a text message: by alphabet, extension table and part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.sms import GSM_7_BIT, UCS_2, alphabet_of, foreign_characters, parts_of
from dispatcher.platforms.genesys.requests import text_problem
from dispatcher.settings.sms_text import alphabet_warning, too_many_parts
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.row_errors import InvalidRowError


@pytest.mark.parametrize(
    ("text", "alphabet", "parts"),
    [
        ("", GSM_7_BIT, 0),
        ("a", GSM_7_BIT, 1),
        ("a" * 160, GSM_7_BIT, 1),
        ("a" * 161, GSM_7_BIT, 2),
        ("a" * 306, GSM_7_BIT, 2),
        ("a" * 307, GSM_7_BIT, 3),
        ("a" * 765, GSM_7_BIT, 5),
        ("a" * 766, GSM_7_BIT, 6),
        ("Grüße, Ægir! ¿Señor? Δ£¥\r\n", GSM_7_BIT, 1),
        ("€" * 80, GSM_7_BIT, 1),
        ("€" * 81, GSM_7_BIT, 2),
        ("a" * 152 + "€" + "a" * 20, GSM_7_BIT, 2),
        ("a" * 152 + "€" + "a" * 152, GSM_7_BIT, 3),
        ("€" * 152, GSM_7_BIT, 2),
        ("€" * 153, GSM_7_BIT, 3),
        ("п" * 70, UCS_2, 1),
        ("п" * 71, UCS_2, 2),
        ("п" * 335, UCS_2, 5),
        ("п" * 336, UCS_2, 6),
        ("a" * 160 + "ç", UCS_2, 3),
        ("`", UCS_2, 1),
        ("\t", UCS_2, 1),
        ("\U0001f600" * 35, UCS_2, 1),
        ("\U0001f600" * 36, UCS_2, 2),
        ("\U0001f600" * 66, UCS_2, 2),
        ("\U0001f600" * 67, UCS_2, 3),
    ],
)
def test_the_parts_of_a_text(text, alphabet, parts):
    """160 or 70 places in one part, 153 or 67 in each of several; no character is split."""
    assert (alphabet_of(text), parts_of(text)) == (alphabet, parts)


@given(st.text(max_size=400), st.text(max_size=400))
def test_more_text_never_has_fewer_parts(one, other):
    """And both together have at most one part more than each by itself, in the wider alphabet."""
    assert parts_of(one + other) >= max(parts_of(one), parts_of(other))
    assert (alphabet_of(one + other) is UCS_2) == bool(foreign_characters(one + other))


@given(st.text(alphabet=st.sampled_from("aÄ€{п\U0001f600"), max_size=900))
def test_parts_hold_the_text(text):
    """They have places enough, and none is needed less but for characters that are not split."""
    units = len(text.encode("utf-16-be")) // 2
    if alphabet_of(text) is GSM_7_BIT:
        units = len(text) + sum(character in "€{" for character in text)
    size = alphabet_of(text).per_part
    parts = parts_of(text)
    if units <= alphabet_of(text).single:
        assert parts == (1 if text else 0)
    else:
        assert parts * size >= units
        assert (parts - 1) * (size - 1) < units


def built(text, problem):
    rules = RowRules(text=None, text_limit=765, text_problem=problem)
    return ContactBuilder(rules).build({"conversation_id": "c-1", "text": text})


def test_a_row_whose_text_has_too_many_parts_is_rejected():
    """700 Cyrillic characters are 11 parts; the detail quotes none of them."""
    assert built("a" * 765, text_problem).text == "a" * 765
    assert built("п" * 335, text_problem).text == "п" * 335
    assert built("п" * 700, None)
    with pytest.raises(InvalidRowError) as error:
        built("п" * 700, text_problem)
    assert error.value.reason == "text_too_long"
    assert error.value.detail == "11 parts as SMS in UCS-2, at most 5 can be sent"


def test_a_text_of_the_settings_is_checked_without_its_placeholders():
    """Too many parts are a mistake, another alphabet is a warning that names its characters."""
    assert too_many_parts("п" * 335 + "{name}") == ""
    assert "6 parts" in too_many_parts("п" * 336 + "{name|друг}")
    assert alphabet_warning("Hello {имя}, {{it}} costs 5 €") == ""
    words = alphabet_warning("It\u2019s \u201cready\u201d")
    assert "U+2019, U+201C, U+201D" in words
    assert "67" in words
    assert "ready" not in words
