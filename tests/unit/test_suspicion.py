"""Which refusals are suspicious: the majority of the first 50 answers, or of 200 in a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain import suspects
from dispatcher.domain.status import Reason, Step
from dispatcher.domain.suspicion import (
    DECIDED,
    FIRST_ANSWERS,
    WINDOW_ANSWERS,
    RefusalKind,
    SuspicionDetector,
    refusal_kind,
)

ID = "f3a1c0de-0000-4000-8000-000000000001"
SENDER = RefusalKind(Step.OPEN, 400, "no such deployment")


def feed(detector, word, step=Step.OPEN):
    """Feed answers: a dot is accepted, a letter is a kind; return where one was suspicious."""
    found = []
    for place, letter in enumerate(word, 1):
        if letter == ".":
            detector.accept(step)
        elif detector.refuse(RefusalKind(step, 400, letter)):
            found.append(place)
    return found


@pytest.mark.parametrize(
    ("answers", "suspicious_at"),
    [
        ("a" * 26, [26]),
        ("a" * 25 + "." * 25 + "a", []),
        (".a" * 25, []),
        ("." * 24 + "a" * 26, [50]),
        ("." * 25 + "a" * 26, []),
        ("." * 300 + "a" * 101, [401]),
        ("." * 300 + "a" * 100 + "." * 100 + "a" * 100, []),
        ("abc" * 300, []),
        ("ab" * 25, []),
    ],
)
def test_the_majority_of_the_first_50_or_of_200_in_a_row_is_suspicious(answers, suspicious_at):
    assert feed(SuspicionDetector(), answers) == suspicious_at


@pytest.mark.parametrize(
    ("words", "other"),
    [
        (f"Conversation {ID} is not known", "Conversation 7b2c0de1-aa is not known"),
        ("Number +4917012345 is refused", "number +4366012345  is refused"),
        ('contact "Ada" has no channel', "contact 'Eve Lovelace' has no channel"),
        ("person x-ada is unknown", "person x-ada is unknown"),
    ],
)
def test_ids_do_not_make_another_kind(words, other):
    kinds = {refusal_kind(Step.OPEN, 400, text, (ID, None, "")) for text in (words, other)}
    assert len(kinds) == 1


def test_the_contacts_own_ids_are_no_part_of_the_kind():
    of_ada = refusal_kind(Step.OPEN, 400, "person x-ada is unknown", ("x-ada",))
    of_eve = refusal_kind(Step.OPEN, 400, "person x-eve is unknown", ("x-eve",))
    assert of_ada == of_eve
    assert of_ada != refusal_kind(Step.OPEN, 422, "person x-eve is unknown", ("x-eve",))


def test_a_404_on_a_state_check_is_one_kind_whatever_it_says():
    assert refusal_kind(Step.CHECK, 404, "a") == refusal_kind(Step.CHECK, 404, "b")
    assert refusal_kind(Step.OPEN, 404, "a") != refusal_kind(Step.OPEN, 404, "b")


@pytest.mark.parametrize(
    ("kind", "most_likely"),
    [
        (refusal_kind(Step.CHECK, 404, ""), suspects.LIST),
        (refusal_kind(Step.OPEN, 400, "fromAddress is no deployment"), suspects.SENDER),
        (refusal_kind(Step.NOTIFY, 400, "messagingTemplate is missing"), suspects.TEMPLATE),
        (refusal_kind(Step.OPEN, 400, "unknown external contact"), suspects.PERSON),
        (refusal_kind(Step.OPEN, 400, "what?"), suspects.SENDER),
        (RefusalKind(Step.CHECK, DECIDED, Reason.NO_ADDRESS), suspects.ADDRESS),
    ],
)
def test_the_setting_to_look_at_is_named(kind, most_likely):
    assert suspects.suspects(kind)[0] == most_likely
    assert most_likely in suspects.describe(kind)


answers_of_steps = st.lists(
    st.tuples(
        st.sampled_from([Step.CHECK, Step.NOTIFY, Step.OPEN]), st.sampled_from("...aab")
    ),
    max_size=600,
)  # fmt: skip


@given(answers_of_steps)
def test_as_many_in_flight_as_there_is_room_never_exceed_the_limit(answers):
    """At any time: were all that may be in flight refused alike, only the last is suspicious."""
    detector = SuspicionDetector()
    for step, letter in answers:
        if letter == ".":
            detector.accept(step)
        elif detector.refuse(RefusalKind(step, 400, letter)):
            return
        room = detector.room()
        assert 1 <= room <= WINDOW_ANSWERS
    begun = detector.age(Step.OPEN) >= FIRST_ANSWERS
    last = [detector.refuse(SENDER) for _ in range(detector.room() - 1)]
    assert begun or not any(last[: FIRST_ANSWERS // 2])


@given(st.lists(st.sampled_from("..ab"), min_size=1, max_size=700))
def test_what_is_judged_was_followed_by_enough_answers_of_which_most_are_others(word):
    detector, ages = SuspicionDetector(), []
    for place, letter in enumerate(word):
        suspicious = bool(feed(detector, letter))
        if suspicious:
            break
        if letter != ".":
            ages.append((detector.age(Step.OPEN), place, letter))
        for age, first, kind in ages:
            if detector.is_judged(RefusalKind(Step.OPEN, 400, kind), age):
                later = word[first + 1 : place + 1]
                assert len(later) >= FIRST_ANSWERS
                assert 2 * later.count(kind) <= len(later) or len(later) >= WINDOW_ANSWERS


@pytest.mark.parametrize(
    ("step", "answers", "is_bulk"),
    [
        (Step.CHECK, "aa", False),
        (Step.CHECK, "aaa", True),
        (Step.CHECK, "aaa...", False),
        (Step.OPEN, "aaa", True),
        (Step.OPEN, "abc", False),
    ],
)
def test_at_the_end_three_alike_that_are_most_answers_are_a_bulk(step, answers, is_bulk):
    detector = SuspicionDetector()
    feed(detector, answers, step)
    assert (detector.majority() is not None) == is_bulk


def test_a_few_of_a_rare_step_are_no_bulk():
    """Three refused opens beside many accepted notifies are not most of the sends."""
    detector = SuspicionDetector()
    feed(detector, "." * 40, Step.NOTIFY)
    feed(detector, "aaa", Step.OPEN)
    assert detector.majority() is None
    feed(detector, "a" * 7, Step.OPEN)
    assert detector.majority() == RefusalKind(Step.OPEN, 400, "a")
