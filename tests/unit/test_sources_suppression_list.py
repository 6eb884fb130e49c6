"""The suppression list: a file that changes while the dispatcher runs."""

import asyncio

import pytest

from dispatcher.app.suppression import ListContext, open_list
from dispatcher.domain.contact import Contact
from dispatcher.ports import SourceError
from dispatcher.settings import RulesSettings
from dispatcher.sources.suppression.fit import MOST_CONTACTS, Comparison, ListFit
from dispatcher.sources.suppression.last_size import LastSize
from dispatcher.sources.suppression_list import REST_LOOKS, SuppressionList

PEOPLE = [f"person-{number}" for number in range(10)]


def lines(values):
    return "".join(f"{value}\n" for value in values)


class Listed:
    """A list in a file, and its alarms."""

    def __init__(self, path, text):
        self.path, self.alarms, self.mended = path, [], 0
        self.write(text)
        self.people = SuppressionList(path, self.alarms.append, self._mend)

    def _mend(self):
        self.mended += 1

    def write(self, text):
        """Put a finished file in place of the present one."""
        beside = self.path.with_name("beside")
        beside.write_bytes(text.encode() if isinstance(text, str) else text)
        beside.replace(self.path)

    def look(self, times=1):
        for _ in range(times):
            self.people.look()

    def has_all(self, values=tuple(PEOPLE)):
        return all(self.people.matches([value]) for value in values)


@pytest.fixture
def listed(tmp_path):
    return Listed(tmp_path / "list.csv", lines(PEOPLE))


def test_what_is_new_counts_from_the_next_look_on(listed):
    """Nobody waits for the file to rest before they are left alone."""
    listed.write(lines([*PEOPLE, "new-1"]))
    assert not listed.people.matches(["new-1"])
    listed.look()
    assert listed.people.matches(["new-1"])
    assert listed.has_all()


def test_what_is_gone_is_gone_when_the_file_has_rested(listed):
    """A few values less are meant; the others stay."""
    listed.write(lines(PEOPLE[2:]))
    listed.look(REST_LOOKS)
    assert listed.has_all()
    listed.look()
    assert not listed.people.matches(PEOPLE[:2])
    assert listed.has_all(PEOPLE[2:])
    assert listed.alarms == []


def test_a_file_that_grows_in_place_frees_nobody_and_raises_no_alarm(listed):
    """Each look finds more of it, and at last all."""
    for part in ("", lines(PEOPLE[:1]), lines(PEOPLE[:9]), lines([*PEOPLE, "new-1"])):
        listed.path.write_text(part)
        listed.look()
        assert listed.has_all()
    listed.look(REST_LOOKS)
    assert listed.has_all([*PEOPLE, "new-1"])
    assert listed.alarms == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"\xff\xfe\x00", "not written in UTF-8"),
        (b"", "is empty"),
        (b"\x1f\x8b\x08\0", "is compressed"),
        (lines(PEOPLE[:4]), "has lost 60% of its values"),
        (lines(f"someone-{n}" for n in range(10)), "has lost 100% of its values"),
        (lines(PEOPLE[:8]) + "pers", "so it may be incomplete"),
        ("<html><body>Bad gateway</body></html>\n", "line 1: a value has separators"),
        (lines(PEOPLE[:9]) + "person-9,x;y\n", "line 10: a value has separators"),
        (lines(PEOPLE) + '"a,b\n', "a value has separators"),
    ],
)
def test_a_damaged_list_keeps_everyone_on_it_and_raises_one_alarm(listed, damage, words):
    """However long the damage lasts; when the file is good again the alarm ends."""
    listed.write(damage)
    listed.look(2 * REST_LOOKS)
    assert listed.has_all()
    (alarm,) = listed.alarms
    assert words in alarm
    assert "person-" not in alarm
    listed.write(lines([*PEOPLE, "new-1"]))
    listed.look(2)
    assert listed.mended == 1
    assert listed.has_all([*PEOPLE, "new-1"])


@pytest.mark.parametrize("bad", [",no id", "+49 170 1234567 (mobile),", 'x"y,"', "a,b,c"])
def test_one_bad_line_does_not_keep_others_off_the_list(tmp_path, bad):
    """New people count at once; those who were on the list stay on it."""
    listed = Listed(tmp_path / "list.csv", "phone,remark\n+491700000001,\n")
    listed.write(f"phone,remark\n+491700000002,\n{bad}\n+491700000003,\n")
    listed.look(2)
    assert len(listed.alarms) == 1
    for number in (1, 2):
        assert listed.people.matches([], [f"+49170000000{number}"])
    if '"' not in bad:
        assert listed.people.matches([], ["+491700000003"])
    assert not listed.people.matches([], ["+491700000004"])


def test_a_bad_number_does_not_keep_the_other_ids_of_its_line_off_the_list(tmp_path):
    """The person is recognised by them."""
    listed = Listed(tmp_path / "list.csv", "phone,user_id\n+491700000001,x-1\n")
    listed.write("phone,user_id\n+491700000001,x-1\n+49 170 0000002 (mobile),x-2\n")
    listed.look(2)
    assert len(listed.alarms) == 1
    assert listed.people.matches(["x-2"])


def test_a_list_that_is_gone_is_looked_for_again(listed):
    """The alarm comes at once, and again for the next time."""
    for round_number in (1, 2):
        listed.path.unlink()
        listed.look(3)
        assert listed.has_all()
        assert len(listed.alarms) == round_number
        listed.write(lines(PEOPLE))
        listed.look(2)
        assert listed.mended == round_number


def test_who_was_added_before_the_damage_stays(listed):
    """The last good list is the last good file, not the one of the start."""
    later = [f"later-{number}" for number in range(30)]
    listed.write(lines(PEOPLE + later))
    listed.look(3)
    listed.write(lines(PEOPLE))
    listed.look(2 * REST_LOOKS)
    assert listed.has_all(PEOPLE + later)
    assert len(listed.alarms) == 1


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"", b"a;b\nc,d\ne;f\n"])
def test_a_list_that_cannot_be_trusted_at_the_start(tmp_path, content):
    """The message has the file and the setting."""
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.csv: .*rules\.suppression_file"):
        SuppressionList(path, pytest.fail)


def test_a_list_that_shrank_since_the_last_start_is_refused(tmp_path):
    """A run that a clock starts reads no list again; the size at the last start is kept."""
    sizes, path = tmp_path / "sizes.json", tmp_path / "list.csv"
    last = LastSize(sizes, path, "spring")

    def start(values):
        path.write_text(lines(values) or "# nobody\n")
        people = SuppressionList(path, pytest.fail)
        last.compare(people)
        last.remember(len(people))

    start(PEOPLE[:3])
    start([])
    start(PEOPLE)
    start(PEOPLE[:5])
    start(PEOPLE * 3)
    with pytest.raises(SourceError, match=r"has 4 values, and had 30 .* remove the file .*sizes"):
        start(PEOPLE[:4])
    sizes.write_text("damaged")
    start(PEOPLE[:4])


def test_an_empty_list_is_judged_when_it_has_values(tmp_path):
    """Nobody waits for a list of nobody, and it is no proof for the values that come later."""
    listed, alarms = Listed(tmp_path / "list.csv", "# nobody yet\n"), []
    fit = ListFit(listed.people, lambda: alarms.append("unproved"))
    assert not fit.is_unproved(["person-1"])
    assert not fit.is_proved
    listed.write("Ada Lovelace\n")
    listed.look()
    assert fit.is_unproved(["person-1"])
    assert alarms == ["unproved"]
    listed.write("Ada Lovelace\nperson-7\n")
    listed.look()
    assert not fit.is_unproved(["person-1"])
    assert fit.is_proved


def test_a_size_is_remembered_when_a_change_is_taken_over(tmp_path):
    """A list that grew in the run and was cut then is noticed; damage changes nothing."""
    sizes, path = tmp_path / "sizes.json", tmp_path / "list.csv"
    last = LastSize(sizes, path, "spring")
    path.write_text(lines(PEOPLE))
    people = SuppressionList(path, lambda _: None, on_taken=last.remember)
    for content in (lines(f"person-{n}" for n in range(500)), lines(PEOPLE), "<html>\n"):
        path.write_text(content)
        people.look()
    path.write_text(lines(PEOPLE))
    with pytest.raises(SourceError, match="has 10 values, and had 500"):
        last.compare(SuppressionList(path, pytest.fail))


def test_a_size_that_fell_in_the_run_is_remembered_when_the_file_has_rested(tmp_path):
    """Not before, as the file may be half written."""
    taken = []
    path = tmp_path / "list.csv"
    path.write_text(lines(PEOPLE))
    people = SuppressionList(path, pytest.fail, on_taken=taken.append)
    path.write_text(lines(PEOPLE[:8]))
    for _ in range(REST_LOOKS + 1):
        people.look()
    assert taken == [10, 8]


def test_one_list_has_a_size_for_each_campaign_and_choice_of_columns(tmp_path):
    """Two columns of one file may have very different numbers of values."""
    sizes, path = tmp_path / "sizes.json", tmp_path / "list.csv"
    path.write_text(lines(PEOPLE[:2]))
    people = SuppressionList(path, pytest.fail)
    LastSize(sizes, path, "spring", ["a"]).remember(500)
    LastSize(sizes, path, "spring", ["b"]).compare(people)
    LastSize(sizes, path, "autumn", ["a"]).compare(people)
    with pytest.raises(SourceError, match="had 500"):
        LastSize(sizes, path, "spring", ["a"]).compare(people)


def compare(people, contacts, max_share=0.9):
    comparison = Comparison(people, ListFit(people, pytest.fail), max_share)
    comparison.add([Contact(f"person-{n}", f"conv-{n}", "Hello") for n in range(contacts)])
    return comparison


def test_a_list_of_nearly_all_contacts_is_another_file(listed):
    """Ten are on it: of few contacts that may be right, and a setting permits it."""
    assert compare(listed.people, 19).objection() == ""
    assert compare(listed.people, 10).objection() == ""
    listed.write(lines(f"person-{n}" for n in range(19)))
    listed.look()
    assert "matches 19 of the first 20 contacts" in compare(listed.people, 20).objection()
    assert "suppression_max_share = 1" in compare(listed.people, 20).objection()
    assert compare(listed.people, 22).objection() == ""
    assert compare(listed.people, 20, max_share=1).objection() == ""


def test_no_more_contacts_are_compared_than_are_needed(listed):
    """A tenth of the most that is compared, if nobody is on the list."""
    assert not compare(listed.people, MOST_CONTACTS // 10).is_decided()
    assert compare(listed.people, MOST_CONTACTS // 10 + len(PEOPLE)).is_decided()


@pytest.mark.parametrize("remembers", [False, True])
def test_only_a_run_remembers_the_size(tmp_path, remembers):
    """A plan compares it and writes nothing."""
    sizes, path = tmp_path / "sizes.json", tmp_path / "list.csv"
    last = LastSize(sizes, path, "spring")
    rules = RulesSettings(suppression_file=str(path), suppression_any_shape=True)
    context = ListContext("spring", last_size=last, remembers=remembers)
    path.write_text(lines(PEOPLE))
    asyncio.run(open_list(rules, context))
    assert sizes.exists() == remembers
    last.remember(500)
    with pytest.raises(SourceError, match="had 500"):
        asyncio.run(open_list(rules, context))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8\n6BA7B811-9DAD-11D1-80B4-00C04FD430C8\n", False),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8\nada@example.com\n", True),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8\n+49 30 901820\n", True),
        ("guest-17\nguest-18\n", True),
    ],
)
def test_a_list_may_name_addresses_unless_it_has_uuids_alone(tmp_path, content, expected):
    path = tmp_path / "list.csv"
    path.write_text(content)

    assert SuppressionList(path, print).names_addresses is expected
