"""The learner of first calls: what it costs, how fast it learns, forgets, and is bounded."""

from collections import deque
from random import Random

import pytest

from dispatcher.domain.first_call import (
    LEAST_OBSERVATIONS,
    MEMORY,
    MOST_CELLS,
    MOST_FIRST_CHECKS,
    MOST_TRIES,
    FirstCallLearner,
    Share,
)
from dispatcher.domain.row_likeness import RowLikeness, age_bucket
from dispatcher.domain.status import Step

CHECK, NOTIFY, LINK = Step.CHECK, Step.NOTIFY, Step.OPEN
LINKS = (LINK,)
BOTH = (LINK, NOTIFY)
DAY = 86_400.0


class Campaign:
    """Contacts one after the other, with so many workers; answers come in the order of the calls.

    ``requests`` counts what a single state check, a send and a refused send take.
    """

    def __init__(self, learner, *, possible=LINKS, workers=64, cost=1.0):
        self.learner, self.possible, self.workers, self.cost = learner, possible, workers, cost
        self.calls = deque()
        self.requests = self.refused = self.tried = 0.0

    def meet(self, cell, accepted):
        """Begin a contact whose session accepts ``accepted`` when its first call arrives."""
        while len(self.calls) >= self.workers:
            self.answer()
        while (call := self.learner.choose(cell, self.possible, self.possible)) is None:
            self.answer()
        self.calls.append((call, accepted))

    def answer(self):
        call, accepted = self.calls.popleft()
        accepted = accepted() if callable(accepted) else accepted
        if call.step is CHECK or not call.still_pays:
            self.learner.end_check(call, accepted, self.cost)
            self.requests += self.cost + bool(accepted)
            return
        self.tried += 1
        self.requests += 1
        self.learner.end_send(call, accepted=call.step in accepted)
        if call.step not in accepted:
            self.refused += 1
            self.requests += 1 + bool(accepted)
            self.learner.end_check(call, accepted, 1.0)

    def finish(self):
        while self.calls:
            self.answer()


def played(worlds, *, workers=64, cost=1.0, possible=LINKS, learner=None):
    """Play contacts (cell, what they accept)."""
    campaign = Campaign(
        learner or FirstCallLearner(cost), possible=possible, workers=workers, cost=cost
    )
    for cell, accepted in worlds:
        campaign.meet(cell, accepted)
    campaign.finish()
    return campaign


def test_rows_alike_that_are_ended_take_one_request():
    campaign = played([("ended", LINKS)] * 1000)
    assert campaign.requests <= 1000 + MOST_FIRST_CHECKS + LEAST_OBSERVATIONS
    assert campaign.refused == 0


def test_cells_are_apart():
    """Half ended, half open, and the rows say which: ended ones are opened, open ones checked."""
    worlds = [("ended", LINKS), ("open", (NOTIFY,))] * 1000
    campaign = played(worlds)
    assert campaign.requests <= 1.01 * (1000 * 1 + 1000 * 2)
    assert campaign.refused <= 8
    both = played(worlds, possible=BOTH)
    assert both.requests <= 1.03 * 2000


@pytest.mark.parametrize(("workers", "cells"), [(1, 1), (8, 4), (64, 1), (64, 40), (400, 4)])
def test_a_change_of_all_sessions_costs_less_than_a_hundred_refusals(workers, cells):
    """All ended, then all open: also what is under way at that moment meets the new state."""
    open_now = []
    before = [(n % cells, lambda: (NOTIFY,) if open_now else LINKS) for n in range(1000)]
    campaign = Campaign(FirstCallLearner(), workers=workers)
    for cell, accepted in before:
        campaign.meet(cell, accepted)
    assert campaign.refused == 0
    tried = campaign.tried
    assert tried > 700
    open_now.append(True)
    for n in range(1000):
        campaign.meet(n % cells, (NOTIFY,))
    campaign.finish()
    assert 0 < campaign.refused < 100


def test_it_changes_its_mind_within_a_hundred_contacts_and_back():
    """A wave of closings: of the contacts after the first hundred all are right at once."""
    learner = FirstCallLearner()
    played([("row", (NOTIFY,))] * 500, learner=learner)
    played([("row", LINKS)] * 100, learner=learner)
    assert played([("row", LINKS)] * 200, learner=learner).requests <= 200 * 1.05
    played([("row", (NOTIFY,))] * 100, learner=learner)
    assert played([("row", (NOTIFY,))] * 200, learner=learner).refused == 0


@pytest.mark.parametrize(("share", "tries"), [(0.2, False), (0.35, False), (0.65, True)])
def test_a_send_first_pays_above_one_half(share, tries):
    random = Random(1)
    worlds = [("row", LINKS if random.random() < share else (NOTIFY,)) for _ in range(2000)]
    campaign = played(worlds)
    assert (campaign.tried > 1000) is tries
    checked = 2 * len(worlds)
    assert campaign.requests <= 1.02 * checked
    if tries:
        assert campaign.requests < 0.97 * checked


@pytest.mark.parametrize(("share", "tries"), [(0.6, False), (0.9, False), (1.0, True)])
def test_where_checks_are_shared_a_send_first_must_be_nearly_certain(share, tries):
    """With 8 states in a request the bound is 1 - 1/16."""
    random = Random(2)
    worlds = [("row", LINKS if random.random() < share else (NOTIFY,)) for _ in range(2000)]
    campaign = played(worlds, cost=1 / 8)
    assert (campaign.tried > 1000) is tries
    assert campaign.requests <= 1.05 * len(worlds) * (1 + 1 / 8)


def test_the_cost_of_a_check_is_measured_by_cell():
    """Open sessions are read together, ended ones are not: only for those is a send first right."""
    learner = FirstCallLearner(check_cost=1 / 50)
    played([("open", (NOTIFY,))] * 100, learner=learner, cost=1 / 50)
    played([("ended", LINKS)] * 100, learner=learner)
    assert learner.choose("open", BOTH, BOTH).step is CHECK
    call = learner.choose("ended", BOTH, BOTH)
    assert (call.step, call.check_cost) == (LINK, pytest.approx(1.0, abs=0.3))


def test_nothing_is_sent_first_before_anything_was_observed():
    learner = FirstCallLearner()
    first = [learner.choose("row", LINKS, LINKS) for _ in range(MOST_FIRST_CHECKS)]
    assert {call.step for call in first} == {CHECK}
    assert learner.choose("row", LINKS, LINKS) is None
    learner.release(first[0])
    assert learner.choose("row", LINKS, LINKS).step is CHECK


def test_what_is_possible_and_not_permitted_yet_is_checked():
    learner = FirstCallLearner()
    played([("row", LINKS)] * 50, learner=learner)
    assert learner.choose("row", LINKS, ()).step is CHECK
    assert learner.choose("row", LINKS, LINKS).step is LINK


def test_sends_without_an_answer_are_bounded():
    learner = FirstCallLearner()
    played([("row", LINKS)] * 200, learner=learner)
    calls = [learner.choose("row", LINKS, LINKS) for _ in range(MOST_TRIES)]
    assert {call.step for call in calls} == {LINK}
    assert learner.choose("row", LINKS, LINKS) is None
    learner.end_send(calls[0], accepted=True)
    assert learner.choose("row", LINKS, LINKS).step is LINK


def test_a_cell_without_observations_has_few_sends_without_an_answer():
    """It is believed to be like the others, and few contacts find out."""
    learner = FirstCallLearner()
    played([("row", LINKS)] * 200, learner=learner)
    calls = [learner.choose("other", LINKS, LINKS) for _ in range(2)]
    assert {call.step for call in calls} == {LINK}
    assert learner.choose("other", LINKS, LINKS) is None
    for call in calls:
        learner.end_send(call, accepted=False)
    assert learner.choose("other", LINKS, LINKS).step is CHECK
    assert learner.choose("row", LINKS, LINKS).step is LINK


def test_a_share_forgets():
    share = Share()
    for _ in range(1000):
        share.add(accepted=True)
    assert share.weight == pytest.approx(MEMORY)
    for _ in range(MEMORY):
        share.add(accepted=False)
    assert 0.3 < share.accepted / share.weight < 0.4


def test_a_share_is_shrunk_while_it_has_few_observations():
    share = Share()
    assert share.shrunk_towards(0.9, 2.0) == pytest.approx(0.9)
    share.add(accepted=False)
    assert share.shrunk_towards(0.9, 2.0) == pytest.approx(0.6)
    for _ in range(100):
        share.add(accepted=False)
    assert share.shrunk_towards(0.9, 2.0) < 0.06


def test_the_number_of_cells_is_bounded():
    learner = FirstCallLearner()
    played([(number, LINKS) for number in range(1000)], learner=learner)
    assert len(learner._cells) == MOST_CELLS + 1


def test_a_refused_send_is_no_observation_of_itself_by_the_state_after_it():
    """The state after a refused open shows what a notification would have met."""
    learner = FirstCallLearner()
    played([("row", LINKS)] * 50, learner=learner)
    call = learner.choose("row", BOTH, BOTH)
    learner.end_send(call, accepted=False)
    before = learner._cells["row"].shares[LINK].weight
    learner.end_check(call, (NOTIFY,), 1.0)
    assert learner._cells["row"].shares[LINK].weight == before
    assert learner._cells["row"].shares[NOTIFY].accepted == 1.0


# rows alike


def test_rows_are_alike_by_the_columns_and_their_age():
    likeness = RowLikeness(("status", "channel"), "ended_at")
    now = 10 * DAY
    row = {"status": " Ended", "channel": "web", "ended_at": str(now - 60), "name": "Ada"}
    alike = {"status": "ended ", "channel": "WEB", "ended_at": str(now - 600), "name": "Ben"}
    assert likeness.cell(row, now) == likeness.cell(alike, now)
    assert likeness.cell(row, now) != likeness.cell({**row, "status": "open"}, now)
    assert likeness.cell(row, now) != likeness.cell({**row, "ended_at": str(now - DAY)}, now)


@pytest.mark.parametrize("date", ["", "soon", "   "])
def test_a_row_without_a_readable_date_is_of_unknown_age(date):
    likeness = RowLikeness((), "ended_at")
    assert likeness.cell({"ended_at": date}, DAY) == likeness.cell({}, DAY) == (None,)


def test_ages_are_in_buckets_that_grow():
    ages = [-1, 0, 899, 900, 3599, 3600, DAY, 7 * DAY, 30 * DAY, 400 * DAY, 4000 * DAY]
    assert [age_bucket(age) for age in ages] == [-1, 0, 0, 1, 1, 2, 4, 5, 6, 8, 8]
