"""Posts that are all refused are a fault of the source, which a person must mend."""

from http import HTTPStatus

import pytest

from dispatcher.sources.intake.refused_posts import FORGET_SECONDS, LEAST_REFUSED, RefusedPosts


class Posts:
    """Posts with a clock."""

    def __init__(self):
        self.now = 100.0
        self.refused = RefusedPosts(lambda: self.now)

    def answer(self, status, times=1):
        for _ in range(times):
            self.refused.note(HTTPStatus(status))
            self.now += 6.0

    @property
    def reason(self):
        return self.refused.reason


@pytest.fixture
def posts():
    return Posts()


def test_nothing_but_refusals_is_named_with_the_last_status(posts):
    posts.answer(400, LEAST_REFUSED - 1)
    assert posts.reason == ""
    posts.answer(401)
    assert (
        posts.reason == "all 10 posts of the last 60 s were refused, at last with 401 Unauthorized"
    )


@pytest.mark.parametrize("status", [408, 429, 503])
def test_what_a_client_only_has_to_repeat_is_no_refusal(posts, status):
    posts.answer(status, 3 * LEAST_REFUSED)
    assert posts.reason == ""


def test_a_post_that_is_accepted_ends_it(posts):
    posts.answer(400, LEAST_REFUSED)
    posts.answer(202)
    assert posts.reason == ""
    posts.answer(400, LEAST_REFUSED - 1)
    assert posts.reason == ""


def test_a_client_that_has_given_up_is_forgotten(posts):
    posts.answer(400, LEAST_REFUSED)
    posts.now += FORGET_SECONDS
    assert posts.reason == ""
    posts.answer(400)
    assert posts.reason == ""
