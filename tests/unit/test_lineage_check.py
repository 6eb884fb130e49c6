"""Comparing links with what a look back shows, a page at a time."""

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.lineage_check import LineageLink, LinkVerdict, judge
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import Relation
from dispatcher.engine.readonly.lineage_check import LineageCheckProgress, verify
from dispatcher.engine.readonly.platform_reader import PlatformReader, PlatformReadError
from dispatcher.ports import Reply, TokenLease
from tests.support.scripted import OpenPacer, refused
from tests.support.virtual import VirtualClock, in_virtual_time

CONFIRMED, MISSING, DIFFERENT = LinkVerdict


def link(relation, conversation="c", message="m", person="p", sent_at=100.0):
    return LineageLink(1, Relation(relation), "old", conversation, message, person, sent_at)


def shown(previous=None, person="p", *messages):
    return PastConversation("c", previous, person, messages)


UPPER, LOWER = "ABCDEF01-0000-4000-8000-00000000000A", "abcdef01-0000-4000-8000-00000000000a"


def test_a_uuid_in_another_case_is_the_same():
    """In the person, the previous conversation, the message and the conversation itself."""
    linked = LineageLink(1, Relation.LINKED, UPPER, UPPER, UPPER, UPPER, 100.0)
    found = PastConversation(LOWER, LOWER, LOWER, (PastMessage(LOWER, True, 101.0, None),))
    assert judge(linked, {LOWER: found}) is CONFIRMED
    other = PastConversation(LOWER, LOWER, LOWER[:-1] + "b", found.messages)
    assert judge(linked, {LOWER: other}) is DIFFERENT
    notified = LineageLink(1, Relation.NOTIFIED, UPPER, UPPER, UPPER, UPPER, 100.0)
    assert judge(notified, {LOWER: found}) is CONFIRMED


OURS = PastMessage("m", True, 101.0, "")
INBOUND = PastMessage("m", False, 101.0, "")
EARLIER = PastMessage("before", True, 50.0, "")
UNNAMED = link("notified", message=None)


@pytest.mark.parametrize(
    ("said", "found", "verdict"),
    [
        (link("notified"), shown(None, "p", OURS), CONFIRMED),
        (link("notified"), shown(None, None, EARLIER, OURS), CONFIRMED),
        (link("threaded"), shown(None, "p", OURS), CONFIRMED),
        (link("notified"), shown(None, "p", EARLIER), MISSING),
        (link("notified"), shown(None, "p", INBOUND), MISSING),
        (link("notified"), shown(None, "other", OURS), DIFFERENT),
        (UNNAMED, shown(None, "p", OURS), CONFIRMED),
        (UNNAMED, shown(None, "p", EARLIER), MISSING),
        (link("linked"), shown("old"), CONFIRMED),
        (link("linked"), shown("other"), DIFFERENT),
        (link("linked"), shown("old", "other"), DIFFERENT),
        (link("linked"), shown("old", None), DIFFERENT),
        (link("linked"), None, MISSING),
        (link("linked", conversation=None), shown("old"), MISSING),
        (link("unlinked"), shown(None), CONFIRMED),
        (link("unlinked"), shown("old"), DIFFERENT),
    ],
)
def test_a_link_is_confirmed_by_exactly_what_it_says(said, found, verdict):
    """A message by its id, else by its time; a conversation by its previous one and its person."""
    assert judge(said, {"c": found} if found else {}) is verdict


def bare(person, *messages):
    """A conversation as a platform shows it that knows no links."""
    return PastConversation("c", None, person, messages, has_previous=False)


@pytest.mark.parametrize("relation", Relation)
@pytest.mark.parametrize(
    ("said", "found", "verdict"),
    [
        ({}, bare("p", OURS), CONFIRMED),
        ({}, bare("p", EARLIER), MISSING),
        ({}, bare("p", INBOUND), MISSING),
        ({}, bare("other", OURS), DIFFERENT),
        ({}, bare(None, OURS), MISSING),
        ({"person": None}, bare("p", OURS), CONFIRMED),
        ({"message": None}, bare("p", OURS), MISSING),
        ({}, None, MISSING),
    ],
)
def test_without_links_a_message_of_ours_confirms(relation, said, found, verdict):
    """By its id, in a conversation with the right person."""
    assert judge(link(relation, **said), {"c": found} if found else {}) is verdict


class Links:
    """A ledger's links, in memory."""

    def __init__(self, count):
        self.left = [
            LineageLink(n, Relation.LINKED, f"old-{n}", f"c-{n}", None, "p", 1.0)
            for n in range(1, count + 1)
        ]
        self.marked = {}

    def page(self, after, limit):
        return [one for one in self.left if one.id > after][:limit]

    def mark(self, found, at):
        self.marked.update(found)


class Analytics:
    """A platform that knows every link but those whose numbers are missing."""

    def __init__(self, *missing, fails_at=None):
        self.missing, self.fails_at = set(missing), fails_at
        self.calls = []

    async def look_back(self, queries):
        conversations = [query.conversation_id for query in queries]
        self.calls.append(conversations)
        if len(self.calls) == self.fails_at:
            return Reply(refused(400, correlation_id="corr"), 0.1, TokenLease(1, 0.0))
        numbers = (int(id_.partition("-")[2]) for id_ in conversations)
        history = tuple(
            PastConversation(f"c-{n}", f"old-{n}", "p") for n in numbers if n not in self.missing
        )
        return Reply(Answer(200, past_conversations=history), 0.1, TokenLease(1, 0.0))


async def verified(links, platform, limit=None, since=0):
    clock = VirtualClock()
    asking = PlatformReader(platform, OpenPacer(), clock, RetryPolicy(), lambda: 0.5)
    done = LineageCheckProgress(since, limit)
    await verify(links, platform, asking, clock, done, lambda _: None)
    return done


@in_virtual_time
async def test_a_hundred_links_a_call_and_all_are_marked():
    """250 links take three calls; what did not take is counted and named."""
    links, platform = Links(250), Analytics(7, 130)
    done = await verified(links, platform)
    assert [len(call) for call in platform.calls] == [100, 100, 50]
    assert done.counts == {CONFIRMED: 248, MISSING: 2}
    assert [(one.id, what) for one, what in done.failing] == [(7, MISSING), (130, MISSING)]
    assert len(links.marked) == 250
    assert done.last == 250


@in_virtual_time
async def test_a_limit_and_a_cursor_bound_what_is_queried():
    """From 20 on, 130 links."""
    platform = Analytics()
    done = await verified(Links(250), platform, limit=130, since=20)
    assert (done.checked, done.last) == (130, 150)
    assert [len(call) for call in platform.calls] == [100, 30]


@in_virtual_time
async def test_a_look_back_that_is_refused_ends_it_and_keeps_what_was_marked():
    """The words name the answer and the correlation id."""
    links = Links(250)
    with pytest.raises(
        PlatformReadError, match=r"400 words of 400 to a look-back request \(corr\)"
    ):
        await verified(links, Analytics(fails_at=2))
    assert len(links.marked) == 100
