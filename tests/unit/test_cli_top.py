"""``dispatcher top`` without a terminal: what is on its screen, and what its keys ask for."""

import json
import os
import re
from dataclasses import asdict, replace

import pytest
from click.testing import CliRunner
from rich.text import Text

from dispatcher.app.control.snapshot_json import snapshot_from_json
from dispatcher.app.control.watcher import RunWatcher, Sight
from dispatcher.cli import cli
from dispatcher.cli.top import keys
from dispatcher.cli.top.history_view import history_lines
from dispatcher.cli.top.screen import Drain, Look, Quit, Screen, SetPaused
from dispatcher.ports.snapshot import (
    DRAINING,
    STANDBY,
    ConditionSnapshot,
    LeaseSnapshot,
    LedgerSnapshot,
    RatesSnapshot,
    RunSnapshot,
)
from tests.support.snapshots import HOSTILE, NOW, campaign, run

SIZES = ((80, 24), (200, 50), (120, 30), (40, 10), (20, 5))
LEASES = [
    {
        "kind": "campaign",
        "name": "cart-2026-11",
        "daemon": "one",
        "host": "host-1",
        "since": NOW - 8000,
        "left_seconds": 7.0,
    }
]


def screen_of(snapshot, **sight):
    screen = Screen()
    screen.see(Sight(snapshot, **sight))
    return screen


def plain(lines):
    return "\n".join(line.plain for line in lines)


def shown(snapshot, width=200, height=50, **sight):
    return plain(screen_of(snapshot, **sight).frame(width, height, NOW))


def test_a_large_screen_has_everything():
    """Each fact of the issue is there, in words."""
    text = shown(run(), leases=LEASES)
    for words in (
        "pid 4711, running for 2:13 h",
        "ledger_away: The server of the ledger does not answer [P1: nobody is written to]",
        "no answer for 300 s", "1. Look at the server", "3. Third.", "quota_shared: others use 30%",
        "HALTED: scope, since 20:17:57Z (8:20 min)",
        "cart-2026-11", "1,212,345", "4,687",
        "notified 400,000", "skipped 1,230 (same_person 1,200, suppressed 30)",
        "scope errors 1 (forbidden 1)", "closed-session conflicts 19 (notify 400 12, open 409 7)",
        "retry loops 2 (open 2)",
        "95% of 300/min: ours 240, others' 45, left 15", "4.9/s over 10 s", "429: 9",
        "120 due now, the oldest for 12 s", "4,000 not_ended, due 20:26:20Z to 21:26:17Z",
        "500 quiet_hours, due 06:26:17Z to 2026-11-30 20:26Z",
        "3 in doubt, next look back 20:26:37Z",
        "first: 1,000 requests", "second: 900 requests", "HALTED: scope, for 30 s",
        "kafka, 2,000 rows in this run, the last 1 s ago, watched, 12,345 rows wait in it",
        "warehouse: 120 rows wait", "s3: 4 rows wait, FAILS: denied",
        "AWAY since 20:21:17Z (5:00 min): nothing is sent", "one on host-1 since 2026-11-29",
        "p pause", "? help", "q quit",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("count", [1, 3, 60])
def test_nothing_is_cut_by_the_terminal(width, height, count):
    """There are as many lines as the terminal has, and none is wider; the keys stay."""
    campaigns = [campaign(f"{HOSTILE}-{number}") for number in range(count)]
    for state in ({}, {"trouble": "x" * 300, "lost_at": NOW - 5}, {"leases": LEASES}):
        lines = screen_of(run(*campaigns, name=HOSTILE), **state).frame(width, height, NOW)
        assert len(lines) == height
        assert max(line.cell_len for line in lines) <= width
        assert "p pause" in lines[-1].plain


def test_the_smallest_usual_terminal_has_each_part():
    """80x24: a long condition and a full run leave a line of each part, and say what is cut."""
    text = shown(run(), 80, 24, leases=LEASES)
    for words in (
        "ledger_away", "evidence", "to do", "HALTED: scope", "1,212,345", "outcomes", "left 15",
        "scope errors", "closed-session conflicts", "retry loops", "429", "due now", "second: 900",
        "kafka", "FAILS", "AWAY", "one on host-1", "more)",
    ):  # fmt: skip
        assert words in text, words


def test_hostile_names_and_rows_are_shown_harmlessly():
    """Nothing that controls a terminal, and no markup, comes out of a name or of a history."""
    hostile = replace(run(campaign(HOSTILE), name=HOSTILE), halts={HOSTILE: NOW})
    contact = {
        "key": HOSTILE,
        "campaign": HOSTILE,
        HOSTILE: HOSTILE,
        "story": [{"time": NOW, "what": HOSTILE, "answer": HOSTILE, HOSTILE: HOSTILE}],
    }
    screen = screen_of(hostile, trouble=HOSTILE)
    screen.press("p", NOW)
    frames = [screen.frame(200, 50, NOW), history_lines([contact], 80)]
    screen.press("n", NOW)
    screen.say(HOSTILE, NOW)
    screen.press("/", NOW)
    for key in keys.decode(HOSTILE.encode()):
        screen.press(key, NOW)
    frames.append(screen.frame(80, 24, NOW))
    for lines in frames:
        assert all(line.plain.isprintable() for line in lines)
    assert "a\\x1b[2J\\x1b]0;owned\\x07" in plain(frames[0])
    assert "[bold]x[/bold]" in plain(frames[0])


def test_a_run_that_drains_waits_or_has_nothing_is_called_so():
    """The phase, a standby's leader, and a calm run without evidence."""
    assert "draining" in shown(run(phase=DRAINING))
    waiting = RunSnapshot(
        1, NOW, NOW, phase=STANDBY, leases=[LeaseSnapshot("campaign c", "two", "host-2", NOW)]
    )
    text = shown(waiting)
    assert "standby" in text
    assert "this run waits for campaign c: two on host-2 has it" in text
    idle = campaign(condition=ConditionSnapshot(words="nothing is wrong"), waits=(), due=0, later=0)
    calm = shown(RunSnapshot(1, NOW, NOW, campaigns=[idle]))
    assert "halts" not in calm
    idle_ledger = shown(run(ledger=LedgerSnapshot(size=4_200_000)))
    assert "4.2 MB" in idle_ledger
    assert "a commit takes" not in idle_ledger
    assert "evidence" not in calm


def test_it_says_when_a_run_has_ended_does_not_answer_or_was_restarted():
    """Old figures are never shown as new ones."""
    ended = shown(run(), trouble="gone", lost_at=NOW - 9, ended=True)
    assert (
        "The run (pid 4711) has ended, or is restarting: no answer since 20:26:08Z (9 s)" in ended
    )
    assert "running for" not in ended
    assert "quota " not in ended.replace("quota_shared", "")
    stale = shown(run(), trouble="no answer in time", lost_at=NOW - 9)
    assert "No answer since 20:26:08Z (9 s): no answer in time. The figures are the last" in stale
    assert "before it pid 99" in shown(run(), earlier_pid=99)


def test_a_condition_is_not_shown_as_of_now_when_it_is_of_before():
    """A run that does not answer, or whose ledger is away: unknown, since when, also in rows."""
    calm = ConditionSnapshot(title="Nothing is wrong")
    one = campaign("cart", condition=calm, halts={})
    silent = shown(run(one, condition=calm, halts={}), trouble="no answer", lost_at=NOW - 5)
    away = ConditionSnapshot.unknown(NOW - 5, "the server of the ledger does not answer")
    one = replace(one, condition=away)
    for text, why in (
        (silent, "the run does not answer"),
        (shown(run(one, condition=away)), "the server of the ledger does not answer"),
    ):
        assert f"condition unknown since 20:26:12Z (5 s): {why}" in text
        assert "Nothing is wrong" not in text
        assert re.search(r"cart .* unknown  unknown", text)  # the time that is left, and the state


def test_without_a_run_it_says_what_it_waits_for():
    """Before the first answer, without a ledger, without a campaign, and with one."""
    nothing = RunSnapshot(0, NOW, NOW)
    silent = {"trouble": "no run", "lost_at": NOW - 3, "ended": True}
    assert "Looking for the run ..." in shown(None)
    late = shown(None, trouble="no answer yet", lost_at=NOW - 3)
    assert "Looking for the run since 20:26:14Z (3 s): no answer yet." in late
    missing = shown(nothing, **silent, unread="ledger l.db: there is no such file")
    assert "No run answers on this machine. Waiting for one since 20:26:14Z (3 s)." in missing
    assert "(3 s). For now: ledger l.db: there is no such file." in missing
    assert "The ledger has no campaign yet." in shown(nothing, **silent)
    assert "a standby takes no commands" in shown(nothing, **silent, leases=LEASES)
    for text in (late, missing):
        assert "CAMPAIGN" not in text
        assert "failures" not in text
    known = shown(replace(nothing, campaigns=[campaign("cart")]), **silent)
    assert "This is what the ledger has; the next run is shown." in known
    assert "1,212,345" in known
    assert "scope errors" not in known
    lost = shown(run(), **silent, unread="ledger l.db: there is no such file")
    assert "The figures are the last ones: ledger l.db: there is no such file." in lost
    off = shown(nothing, trouble="it takes no commands", lost_at=NOW - 3)
    assert "No answer since 20:26:14Z (3 s): it takes no commands." in off


def test_it_says_what_becomes_of_contacts_that_a_run_left_behind():
    """Those that a killed run had claimed are neither due nor lost; nothing left is said so."""
    left = {"trouble": "gone", "lost_at": NOW, "ended": True}
    text = shown(run(campaign(waits=(), busy=89)), **left)
    assert "89 were being processed: the next run takes them up" in text
    nothing = campaign(waits=(), due=0, later=0, busy=0, next_due=None, in_doubt=None)
    assert "nothing: every contact of the ledger is final" in shown(run(nothing), **left)


def test_words_carry_what_colours_repeat():
    """Without any style the same screen is complete: no line differs by its colour only."""
    lines = screen_of(run(campaign("a", halts={"paused": NOW - 9}), campaign("b"))).frame(
        100, 30, NOW
    )
    text = plain(Text(line.plain) for line in lines)
    assert "> all" in text
    assert re.search(r"a .* paused", text)


def test_p_r_and_d_ask_first_and_only_y_does_it():
    """Every other key is a no; a pause is only asked for what is not paused."""
    screen = screen_of(run(campaign("a"), campaign("b", halts={"paused": NOW})))
    for key, action, words in (
        ("p", SetPaused(("a",), paused=True), "Pause campaign a?"),
        ("r", SetPaused(("b",), paused=False), "Resume campaign b?"),
        ("d", Drain(), "Drain the run (pid 4711)?"),
    ):
        for other in ("n", keys.ENTER, " ", "q", keys.ESCAPE):
            assert screen.press(key, NOW) is None
            assert words in plain(screen.frame(80, 24, NOW))
            assert screen.asks
            assert screen.press(other, NOW) is None
            assert "Nothing was done" in plain(screen.frame(80, 24, NOW))
        screen.press(key, NOW)
        assert screen.press("y", NOW) == action
    assert screen.press("q", NOW) == Quit()


def test_without_a_run_a_pause_is_for_the_next_one():
    screen = Screen()
    screen.see(Sight(run(campaign("a"), campaign("b", halts={"paused": NOW})), ended=True))
    for key, words in (("p", "Pause campaign a?"), ("r", "Resume campaign b?")):
        screen.press(key, NOW)
        shown = plain(screen.frame(80, 24, NOW))
        assert f"No run is there; this is kept for the next one. {words}" in shown
        screen.press("n", NOW)


def test_a_selected_campaign_is_what_keys_concern_and_stays_selected():
    """Arrows select it; a snapshot with another order keeps it; one without it selects all."""
    one, two = campaign("one"), campaign("two", halts={"paused": NOW})
    screen = screen_of(run(one, two))
    screen.press(keys.DOWN, NOW)
    screen.press("j", NOW)
    screen.press("j", NOW)
    assert screen.selected == 2
    screen.press("p", NOW)
    assert not screen.asks
    assert "paused already" in plain(screen.frame(80, 24, NOW))
    screen.see(Sight(run(two, one)))
    screen.press("r", NOW)
    assert screen.press("y", NOW) == SetPaused(("two",), paused=False)
    screen.see(Sight(run(one)))
    assert screen.selected == 0


def test_nothing_is_asked_without_a_run_or_twice():
    """A drain needs a run that does not drain yet."""
    for sight in (
        Sight(), Sight(RunSnapshot(0, NOW, NOW), "silent"), Sight(run(), ended=True),
        Sight(run(phase=DRAINING)),
    ):  # fmt: skip
        screen = Screen()
        screen.see(sight)
        assert screen.press("d", NOW) is None
        assert not screen.asks
    assert "drains already" in plain(screen.frame(80, 24, NOW))
    empty = Screen()
    empty.press("p", NOW)
    assert not empty.asks


def test_a_contact_is_typed_shown_scrolled_and_left():
    """Backspace and Esc work while it is typed; afterwards arrows scroll, and q goes back."""
    screen = screen_of(run())
    screen.press("/", NOW)
    screen.press(keys.ESCAPE, NOW)
    for key in ("/", "o", "q", "x", keys.BACKSPACE, "?"):
        assert screen.press(key, NOW) is None
    assert "external id): oq?_" in plain(screen.frame(80, 24, NOW))
    assert screen.press(keys.ENTER, NOW) == Look("oq?")
    story = [{"time": NOW + n, "what": "check", "answer": 200, "state": "open"} for n in range(60)]
    screen.show_contacts([{"key": "oq?", "campaign": "c", "status": "opened", "story": story}])
    text = plain(screen.frame(80, 24, NOW))
    assert "Contact oq? of campaign c" in text
    assert "20:26:17.000  check      200, open" in text
    screen.press(keys.END, NOW)
    assert "20:27:16.000" in plain(screen.frame(80, 24, NOW))
    assert screen.press("p", NOW) is None
    assert not screen.asks
    assert screen.press("q", NOW) is None
    assert "outcomes" in plain(screen.frame(80, 24, NOW))


def test_a_large_screen_has_the_course_of_the_rates():
    """The last looks, as a chart of characters; also where only ASCII can be shown."""
    for ascii_only, chart in ((False, "▁▁▁▁▁▁▁█"), (True, ".......#")):
        screen = Screen(ascii_only=ascii_only)
        for rate in (0.0,) * 7 + (8.0,):
            screen.see(Sight(run(rates=RatesSnapshot(rate, 0, rate * 2, 0))))
        text = plain(screen.frame(200, 60, NOW))
        assert f"contacts/s {chart} 0.0 to 8.0" in text
        assert f"requests/s {chart} 0.0 to 16.0" in text
        screen.see(Sight(run(campaign("name \u4e2d\u6587" * 9))))
        small = plain(screen.frame(80, 24, NOW))
        assert "contacts/s" not in small
        assert ascii_only is small.isascii()
        assert ascii_only is text.isascii()


def test_help_teaches_every_key_within_80_columns():
    """? shows what each key and each figure means."""
    screen = screen_of(run())
    screen.press("?", NOW)
    lines = screen.frame(80, 60, NOW)
    assert max(line.cell_len for line in lines) <= 80
    for words in ("pause", "resume", "drain", "look at one contact", "TIME LEFT", "y does it"):
        assert words in plain(lines)


def test_keys_are_decoded():
    """Arrows of both modes, other sequences, a lone escape, and characters of several bytes."""
    typed = b"\x1b[A\x1bOBp\x1b[5~\x1b[1;5C\x1b[99~\xc3\xa9\r\x7f\x00\x1b"
    assert list(keys.decode(typed)) == [
        keys.UP, keys.DOWN, "p", keys.PAGE_UP, "é", keys.ENTER, keys.BACKSPACE, keys.ESCAPE,
    ]  # fmt: skip


def test_a_key_that_comes_in_two_parts_is_one_key():
    """Over ssh the rest of an arrow may come later than its escape."""
    reading, writing = os.pipe()
    os.write(writing, b"\x1b")
    os.write(writing, b"[")
    os.write(writing, b"A")
    assert keys.read_keys(reading) == [keys.UP]
    os.close(writing)
    assert keys.read_keys(reading) is None
    os.close(reading)


def test_a_snapshot_is_the_same_after_the_socket_and_from_another_version():
    """All of it passes; what is not known is passed over, and what is missing has a default."""
    snapshot = run()
    sent = json.dumps(asdict(snapshot))
    values = json.loads(sent)
    values["newer"] = values["campaigns"][0]["newer"] = 1
    received = json.dumps(asdict(snapshot_from_json(values)))
    assert json.loads(received) == json.loads(sent)
    assert snapshot_from_json({"pid": 1, "taken_at": 2, "started_at": 3}).campaigns == ()
    with pytest.raises(ValueError, match="pid"):
        snapshot_from_json({"pid": "x"})


@pytest.mark.parametrize("arguments", [[], ["--once"]])
def test_where_there_is_no_terminal_it_prints_once(monkeypatch, tmp_path, arguments):
    """Each line is whole, and there are no escape sequences."""
    ledger = LedgerSnapshot(size=4_200_000, free=10, commit=0.002)
    sight = Sight(run(campaign(HOSTILE), ledger=ledger))
    monkeypatch.setattr(RunWatcher, "look", lambda *_, **__: sight)
    done = CliRunner().invoke(cli, ["top", "--ledger", str(tmp_path / "l.db"), *arguments])
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    assert done.output.count("dispatcher top") == 1
    assert "4.2 MB, 10 B of the disk are free, a commit takes 2.0 ms" in done.output
