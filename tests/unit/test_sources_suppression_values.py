"""What a suppression list may look like, and which contacts it matches."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.contact import Contact
from dispatcher.sources.suppression.list_file import parse_list
from dispatcher.sources.suppression.list_text import ListContentError
from dispatcher.sources.suppression.phone_numbers import PhoneNumbers, parse_phone_number
from dispatcher.sources.suppression.shapes import Shape, shape_of


def values(text, known=(), chosen=()):
    content = text if isinstance(text, bytes) else text.encode()
    return parse_list(content, known, chosen).values


@pytest.mark.parametrize(
    "text",
    [
        "x-1\nx-2\n",
        "\ufeffx-1\r\nx-2",
        "x-1\n\n# comment, with a comma\n  X-2  \n",
        "\"x-1\"\n'x-2'\n",
        "external_contact_id;since\nx-1;2026-11-01\nx-2;\n",
        "External Contact-ID\tsince\nx-1\t2026-11-01\nx-2\t2026-11-01\n",
        "since|external_contact_id\n2026-11-01|x-1\n2026-11-01|x-2\n",
        '"since","why","external_contact_id"\n"1","a, b","x-1"\n"2","a\nb","x-2"\n',
        "sep=;\nexternal_contact_id;since\nx-1;1\nx-2;2\n",
        "x-1,2026-11-01\nx-2,2026-11-02\n",
        "2026-11-01;x-1\n2026-11-02;x-2\n",
        "id\nx-1\nx-2\n",
        "MYREF;row\nx-1;7\nx-2;8\n",
        "external_contact_id\nx-1\n\\N\nNULL\nx-2\n",
        '="x-1"\n="x-2"\n',
        "x-1\u200b\n\u202ax-2\u202c\n",
        "external_contact_id;since\nx-1;2026\nx-2;2026\n".encode("utf-16"),
    ],
)
def test_the_same_two_people_in_every_shape(text):
    """Separators, headers, quotes, marks and null markers make no difference."""
    listed = values(text, known={"MyRef"})
    assert listed.matches(["x-1"])
    assert listed.matches([None, "", "X-2"])
    assert not listed.matches(["x-3", "comment", "7", "null", "2026-11-01"])
    assert len(listed) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a;b\nc;d\ne,f\n", "line 3: a value has separators"),
        ("external_contact_id\nx-1\nx-2;2026\n", "line 3: a value has separators"),
        ('"x-1;2026-11-01"\n"x-2;2026-11-01"\n', "line 1: a value has separators"),
        ("since;external_contact_id\n1;x-1\n2,x-2\n", "line 3: has fewer columns"),
        ("name,external_contact_id\nDoe, Jo,x-1\n", "line 2: has more columns"),
        ('external_contact_id;why\nx-1;"a\nx-2;b\n', "a quote is not closed"),
        ('["x-1", "x-2"]\n', "line 1: a value has separators"),
        ('{"external_contact_id": "x-1"}\n', "line 1: a value has separators"),
        ("phone\n4.917E+11\n", "line 2: a number in scientific notation"),
        ("phone;why\n4,917E+11;a\n", "line 2: a number in scientific notation"),
        ("user_id,remark\n,x-1\n", r"line 2: has no value in the columns .*\(user_id\)"),
        ("user_id,remark\nx-1,\nNULL,x-2\n", "line 3: has no value in the columns"),
        ("x-1\0\n", "NUL"),
        (b"PK\x03\x04abc", "a spreadsheet"),
        ("M\u00fcller\n".encode("latin-1"), "not written in UTF-8"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused_with_its_line(text, words):
    """People would silently fall off it. The message has no value of the list."""
    with pytest.raises(ListContentError, match=words) as caught:
        values(text)
    assert "x-1" not in str(caught.value)


def test_a_list_of_nobody():
    """A comment says so; a header alone may be what is left of a list."""
    assert len(values("# nobody yet\n")) == 0
    assert len(values("# nobody yet\nexternal_contact_id,since\n")) == 0
    for cut in ("user_id\n", "external_contact_id,since\n", "user_id,since\nNULL,\n"):
        with pytest.raises(ListContentError, match="begins with #"):
            values(cut)


def test_a_quote_does_not_hide_entries():
    """What a cell with a stray quote has taken in is on the list, too."""
    listed = values('external_contact_id;why\nx-1;"a\nx-2;b"\nx-3;c\n')
    assert all(listed.matches([name]) for name in ("x-1", "x-2", "x-3"))


def test_a_blank_may_be_the_separator():
    """No id has one, so what is before it is on the list; a phone number stays as it is."""
    listed = values("x-1 2026-11-01\n+49 170 0000005\n")
    assert listed.matches(["x-1"])
    assert listed.matches([], ["+491700000005"])
    assert len(listed) == 2
    assert not listed.matches(["x-2", "170", "0000005"], ["+49 171 0000005"])


def test_the_settings_name_the_columns():
    """Then no others count; a name that is not there is an error."""
    listed = values("external_contact_id,opt out ref\nx-1,r-1\n", chosen=["OPT_OUT_REF"])
    assert listed.matches(["r-1"])
    assert not listed.matches(["x-1"])
    with pytest.raises(ListContentError, match="suppression_columns"):
        values("a,b\n1,2\n", chosen=["c"])


def test_a_column_of_a_general_name_counts_beside_a_better_one():
    """A person may be in the list by that id alone."""
    listed = values("id,phone\nC-1,\nC-2,+491700000002\n")
    assert listed.matches(["C-1"])
    assert listed.matches(["C-2"])
    assert listed.matches([], ["+491700000002"])
    assert values("user_id,contact\n,+491700000001\n").matches([], ["+491700000001"])


def test_uuids_are_compared_without_regard_to_their_form():
    """Case, dashes and braces make no difference."""
    name = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    for written in (name.upper(), f"{{{name}}}", name.replace("-", "")):
        listed = values(f"{written}\n")
        assert listed.matches([name])
        assert listed.matches([name.upper()])
        assert listed.matches([name.replace("-", "")])


NUMBER = "+49 170 0000005"


@pytest.mark.parametrize(
    "written",
    [
        "+491700000005", "00491700000005", "+49 (0)170 000-0005", "tel:+49-170-0000005",
        "0170 0000005", "(0170) 0000005", "0170/0000005", "491700000005", "1700000005",
        "+49 0170 0000005", "+49.170.0000005",
        "\uff0b49 170\u00a00000005", "\u202a+491700000005\u202c",
        "+49\u2011170\u20110000005", "491700000005.0",
    ],
)  # fmt: skip
def test_a_phone_number_is_a_number_however_it_is_written(written):
    """In the list, and in the row. The neighbouring number is another one."""
    listed = values(f"phone\n{written}\n")
    assert listed.matches(["c-1"], [NUMBER])
    assert not listed.matches(["c-1"], ["+49 170 0000006"])
    other_way = values(f"{NUMBER}\n")
    row_writes = written.removesuffix(".0")
    assert other_way.matches(["c-1"], [row_writes])
    assert not values("+49 170 0000006\n").matches(["c-1"], [row_writes])


def test_the_country_code_counts_where_both_numbers_have_one():
    """The same number in two countries is two people."""
    listed = values("+491700000005\n")
    assert not listed.matches([], ["+431700000005"])
    assert values("+1 (555) 123-4567\n").matches([], ["555-123-4567", "0"])


def test_an_id_of_digits_is_no_phone_number():
    """It is not the same as an id that ends like it, but as a key that is the number."""
    listed = values("1234567\n100000123\n+491700000005\n")
    assert not listed.matches(["491234567", "11234567", "10000123", "1700000005"])
    assert listed.matches(["491700000005"])
    assert listed.matches(["+491700000005"])
    assert listed.matches(["1234567"])


@given(
    st.sampled_from(["1", "7", "44", "49", "39", "351", "998"]),
    st.from_regex(r"[1-9][0-9]{7,9}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]{7,9}", fullmatch=True),
    st.sampled_from(["+{c}{n}", "00{c}{n}", "+{c} (0){n}", "+{c}-{n}", "{c}{n}", "0{n}"]),
    st.sampled_from(["+{c}{n}", "00{c} {n}", "+{c}(0) {n}"]),
)
def test_two_ways_to_write_one_number_are_equal_and_two_numbers_are_not(code, one, two, a, b):
    """Whatever the country; a number with a country code is equal to itself alone."""
    listed = PhoneNumbers([parse_phone_number(a.format(c=code, n=one))])
    assert parse_phone_number(b.format(c=code, n=one)) in listed
    if one != two and a[0] != "{":
        assert parse_phone_number(b.format(c=code, n=two)) not in listed


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("6F9619FF-8B86-D011-B42D-00C04FC964FF", Shape.UUID),
        ("me@example.org", Shape.EMAIL),
        ("+49 170 0000005", Shape.NUMBER),
        ("12", Shape.SHORT_NUMBER),
        ("2026-11-01", Shape.DATE),
        ("2026-11-01 10:00:00", Shape.DATE),
        ("Ada Lovelace", Shape.WORDS),
        ("unsubscribed", Shape.WORD),
        ("x-ended-1", Shape.ID),
    ],
)
def test_shapes(value, shape):
    """They show that a list of names or dates is none of a campaign's contacts."""
    assert shape_of(value) is shape


def in_five_shapes(people):
    """Five lists of the same people, as five systems would export them."""
    return {
        "values": "\n".join(p.external_contact_id.upper() for p in people),
        "semicolons": "\n".join(
            ["\ufeffsince;Conversation-ID", *(f"2026-11-01;{p.conversation_id}" for p in people)]
        ),
        "quoted": "\r\n".join(['"phone","why"', *(f'"{p.address}","a, b"' for p in people)]),
        "national": "\n".join(
            ["tel\tname", *("0" + p.address.removeprefix("+49 ") + "\tA B" for p in people)]
        ),
        "no header": "\n".join(f"{p.external_contact_id}|2026-11-01 10:00:00" for p in people),
    }


def test_of_ten_thousand_contacts_the_thousand_on_the_list_are_found_in_five_shapes():
    """All of them, and nobody else."""
    contacts = [
        Contact(f"key-{n}", f"conv-{n:05}", "Hello", f"person-{n}", f"+49 170 {n:07}")
        for n in range(10_000)
    ]
    people = random.Random(7).sample(contacts, 1000)
    for name, text in in_five_shapes(people).items():
        listed = values(text)
        found = {contact.key for contact in contacts if listed.matches_contact(contact)}
        assert found == {person.key for person in people}, name
        assert len(listed) == len(people)


DAMAGED = [
    "4.91701234567E11", "4,917E+11", "491701234567.25", "+49 170 1234567 (mobile)",
    "+49 170 1234567 ext 5", "p:+491701234567", "0170 1234567 / 0171 7654321",
    "+491701234567 +491717654321", "5551234567/1234567", "+49170123456O 1234567",
]  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_phone_number_that_would_match_nobody_is_refused_with_its_line(damaged):
    """In a column of phones, in a list of numbers, and if all are alike."""
    fine = "+491700000001\n+491700000002\n"
    beside = f"why;handy\na;+491700000001\na;{damaged}\na;+491700000002\n"
    for text, line in ((f"Phone\n{damaged}\n", 2), (f"{fine}{damaged}\n", 3), (beside, 3)):
        with pytest.raises(ListContentError, match=f"line {line}: ") as caught:
            values(text, known={"handy"})
        assert "1234567" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "+491700000001\n+491700000002\nC-20261101-7\n",
        "+491700000001\n+491700000002\n6f9619ff-8b86-d011-b42d-00c04fc964ff\n",
        "+491700000001\n+491700000002\na.b1234567@example.org\n",
        "phone,external_contact_id\n+491700000001,12345678-AB\n",
        "12345678-AB\n12345679-AB\n",
        "507f1f77bcf86cd799439011\n507f191e810c19729de860ea\n",
    ],
)
def test_ids_with_many_digits_are_no_damaged_numbers(text):
    """Not even beside phone numbers."""
    assert len(values(text)) >= 1


def test_a_value_with_a_plus_is_a_number_in_any_list():
    """However many mail addresses are beside it."""
    with pytest.raises(ListContentError, match="line 4: a phone number"):
        values("contact\na@example.org\nb@example.org\n+49 170 1234567 (mobile)\n")


@pytest.mark.parametrize("written", ["491701234567.00", "+491701234567.0", "491701234567.000000"])
def test_a_number_that_was_given_decimals_is_the_number(written):
    """The digits before the point are complete."""
    assert values(f"{written}\n").matches([], ["0170 1234567"])


@pytest.mark.parametrize(
    "value", ["x-1:stop", "x-1^stop", "x-1\x01stop", "ID=x-1", "x-1/stop", "x-1 #2"]
)
def test_a_sign_that_may_separate_an_id_from_the_rest_hides_nobody(value):
    """The parts of a value count as well as the whole."""
    found = values(f"external_contact_id\n{value}\n".encode())
    assert found.matches(["x-1"])
    assert found.matches([value])
    assert not found.matches(["x-10"])


@pytest.mark.parametrize("listed", ["121", "0121", "000121", "0000000000121", "121.0"])
@pytest.mark.parametrize("key", ["121", "00121", "0000121"])
def test_zeros_at_the_beginning_of_an_id_of_digits_do_not_count(listed, key):
    """Spreadsheets remove them, and databases add them."""
    people = values(f"contact_key\n{listed}\n")
    assert people.matches([key])
    assert not people.matches(["1210", "1121", "x-121", "12"])


def test_ids_of_digits_that_are_longer_than_a_phone_number_are_ids():
    people = values("external_contact_id\n123456789012345671\n123456789012345672\n")
    assert people.matches(["123456789012345672"])
    assert not people.matches(["123456789012345673"])


def test_a_number_of_a_row_does_not_have_the_shape_of_a_phone_number():
    assert shape_of("12") is Shape.SHORT_NUMBER
    assert shape_of("1234567") is Shape.NUMBER
    assert set(values("id,ref\n1,x-1\n2,x-2\n").shapes) == {Shape.SHORT_NUMBER}


def test_beside_a_column_of_an_uncertain_name_the_unknown_columns_count_as_well():
    people = values("id,ref,since\n1,x-1,2026-11-01\n2,x-2,\n")
    assert people.matches(["x-1"])
    assert people.matches(["x-2"])
    assert people.matches(["1"])
    assert not values("external_contact_id,ref\nx-1,x-2\n").matches(["x-2"])


@pytest.mark.parametrize(
    "written",
    ["491700000005@s.whatsapp.net", "+491700000005@c.us", "011 49 170 0000005"],
)
def test_a_number_is_the_same_in_whatsapp_and_as_it_is_dialled_abroad(written):
    assert values(f"phone\n{written}\n").matches([], ["+49 170 0000005"])
    assert values("phone\n+491700000005\n").matches([], [written])
    assert not values(f"phone\n{written}\n").matches([], ["+49 170 0000006"])
