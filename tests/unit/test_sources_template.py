"""Message templates."""

import pytest

from dispatcher.sources.rows.template import Template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {first_name}!", "Hello Ada!"),
        ("{first_name}{first_name}", "AdaAda"),
        ("{{first_name}} is {first_name}", "{first_name} is Ada"),
        ("100% for {first_name}, %s", "100% for Ada, %s"),
        ("{Contact.Name} and { first name }", "Lovelace and Ada L."),
        ("nothing to fill in", "nothing to fill in"),
        ("", ""),
    ],
)
def test_placeholders_are_filled_in(text, expected):
    """Names are replaced, doubled braces become braces, everything else stays as it is."""
    row = {"first_name": "Ada", "Contact.Name": "Lovelace", "first name": "Ada L."}
    assert Template(text).render(row) == expected


def test_a_value_is_never_read_as_a_template():
    """A row cannot reach other columns or formats through its own values."""
    assert Template("{a}").render({"a": "{b} %s {a.__class__}", "b": "x"}) == (
        "{b} %s {a.__class__}"
    )


def test_a_missing_column_is_named():
    """The error's key is the column that the row lacks."""
    with pytest.raises(KeyError) as caught:
        Template("{a} {b}").render({"a": "x"})
    assert caught.value.args == ("b",)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"a": "Ada", "b": "x"}, "Hi Ada, x!"),
        ({"b": "x"}, "Hi there, x!"),
        ({"a": "{b|c}", "b": "%s"}, "Hi {b|c}, %s!"),
    ],
)
def test_a_fallback_is_for_rows_without_a_value(row, expected):
    """An empty cell is not in the row; the fallback's outer blanks are not inserted."""
    assert Template("Hi {a | there}, {b}!").render(row) == expected


def test_a_fallback_may_be_empty_and_does_not_excuse_another_column():
    """``{a|}`` inserts nothing; a column without a fallback is still needed."""
    assert Template("Hi{a|}! 100%").render({}) == "Hi! 100%"
    with pytest.raises(KeyError) as caught:
        Template("{a|x} {b}").render({})
    assert caught.value.args == ("b",)


def test_a_template_knows_which_columns_it_needs():
    """A column is optional only if each of its placeholders has a fallback."""
    template = Template("{{}} {a|x} {b} {a} {c|y} {d|z}").renamed({"c": "C"})
    assert template.required == {"a", "b"}
    assert template.optional == {"C", "d"}
    assert template.fallbacks_used({"a": "1", "b": "2", "C": "3"}) == {"d"}
    assert template.literal_length == len("{}     ")


def test_renamed_placeholders_keep_the_text():
    """A placeholder may say the meaning where the file says something else."""
    template = Template("{conversation_id}: {x}").renamed({"conversation_id": "CID"})
    assert template.render({"CID": "c1", "x": "y"}) == "c1: y"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Hello {", 7),
        ("Hello }", 7),
        ("{a} {} {b}", 5),
        ("{a!r}", 1),
        ("{a:>10}", 1),
        ("x{a[0]}", 2),
        ("{a{b}}", 1),
        ("{ }", 1),
        ("{|there}", 1),
        ("{a|b|c}", 1),
    ],
)
def test_a_mistake_is_raised_with_its_place(text, place):
    """Construction fails and names the character, counted from 1."""
    with pytest.raises(ValueError, match=rf"character {place}:"):
        Template(text)
