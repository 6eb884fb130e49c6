"""Open, resumable and expired sessions in the dialect genesys, and who talks in them."""

import pytest

from tests.support.scenario_runner import (
    assert_each_ends_as_the_table_says,
    assert_nobody_twice_nobody_missing,
    assert_right_call_for_each,
    kind_of,
    play,
)

DIALECT = "genesys"
DELIVERED = {("notified", "delivered"), ("opened", "delivered")}


def written(folder, shares, more=""):
    path = folder / "sessions.toml"
    weights = "".join(f"{kind} = 1\n" for kind in shares)
    path.write_text(
        f"[rate]\nallowed = 4000\nwindow_seconds = 2.0\n{more}[world.shares]\n{weights}"
    )
    return path


def by_kind(played):
    """What the sandbox's log says happened to the contacts of each kind."""
    found = {}
    for effect in played.sandbox.effects():
        who = effect["previousConversationId"] or effect["conversationId"]
        found.setdefault(kind_of(who), set()).add(effect["kind"])
    return found


@pytest.mark.parametrize("status", [400, 409])
def test_the_three_cases_of_the_timeline(tmp_path, status):
    """Into the session, into the old conversation again, or into a new one; guests come back."""
    kinds = ("active", "ringing", "resumable", "ended", "returning")
    scenario = written(tmp_path, kinds, f"[genesys]\nactive_status = {status}\n")
    with play(tmp_path, scenario, 200, dialect=DIALECT) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        assert by_kind(played) == {
            "active": {"notified"},
            "ringing": {"notified"},
            "resumable": {"threaded"},
            "ended": {"linked"},
            "returning": {"notified"},
        }
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        assert_each_ends_as_the_table_says(played)


@pytest.mark.parametrize(
    ("policy", "reached"),
    [
        ("never", {"ended"}),
        ("customer-only", {"ended", "active"}),
        ("always", {"ended", "active", "botline", "agentline"}),
    ],
)
def test_nobody_is_barged_in_on_but_by_policy(tmp_path, policy, reached):
    """Whose session may not be written into waits in the ledger, and no request is refused."""
    scenario = written(tmp_path, ("active", "botline", "agentline", "ended"))
    settings = {"platform.barge_in": policy, "engine.wait_limit_seconds": 1}
    with play(tmp_path, scenario, 80, settings, dialect=DIALECT) as played:
        ended = played.run()
        assert ended.returncode == (0 if policy == "always" else 10), ended.stderr
        assert set(by_kind(played)) == reached
        waiting = {who for who, end in played.settled().items() if end not in DELIVERED}
        assert {kind_of(who) for who in waiting} == {
            "active", "botline", "agentline", "ended"
        } - reached  # fmt: skip
        answers = played.sandbox.counts()["answers"]
        assert {*answers.get("notify", {}), *answers["open"]} == {"200"}


WAITING = {
    "retry.engaged_seconds": 0.4,
    "retry.engaged_max_minutes": 0.05,
    "engine.wait_limit_seconds": 60,
}
"""An open session is looked at again each 0.4 seconds, for 3 seconds in all."""


@pytest.mark.parametrize(
    ("policy", "notified"),
    [
        ("never", set()),
        ("customer-only", {"active"}),
        ("always", {"active", "botline", "agentline", "agentleaving"}),
    ],
)
def test_who_waits_is_sent_to_once_nobody_is_there_or_parked(tmp_path, policy, notified):
    """An agent who leaves makes way for the message; who stays parks the contact in the end."""
    kinds = {"active", "botline", "agentline", "agentleaving", "ended"}
    scenario = written(tmp_path, sorted(kinds), "[world]\nleaves_after = 1.0\nended_after = 600\n")
    settings = {"platform.barge_in": policy, **WAITING}
    with play(tmp_path, scenario, 100, settings, dialect=DIALECT) as played:
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        once_over = {} if "agentleaving" in notified else {"agentleaving": {"threaded"}}
        assert by_kind(played) == {
            "ended": {"linked"},
            **{kind: {"notified"} for kind in notified},
            **once_over,
        }
        assert_nobody_twice_nobody_missing(played)
        assert_right_call_for_each(played)
        parked = {kind_of(who): end for who, end in played.settled().items() if end[0] == "parked"}
        stayed = {"active", "botline", "agentline"} - notified
        assert parked == dict.fromkeys(stayed, ("parked", "engaged"))
        played.metrics.settle()
        engaged = played.metrics.series("dispatcher.retries", "reason")["engaged",]
        assert (engaged > 0) is bool(stayed)
