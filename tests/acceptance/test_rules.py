"""The campaign's rules through the installed command, by what really took effect."""

import json
import time
from datetime import UTC, datetime, timedelta

from tests.support.scenario_runner import play

DELIVERED = {("notified", "delivered"), ("opened", "delivered")}
QUICKLY = {"engine.wait_limit_seconds": 8}


def write(played, *rows):
    lines = ["conversation_id,contact_key,external_contact_id,first_name", *rows]
    played.contacts.write_text("\n".join(lines) + "\n")


def reached(played):
    """The conversations that a message took effect for."""
    effects = played.sandbox.effects()
    return sorted(each["previousConversationId"] or each["conversationId"] for each in effects)


def events(played, name):
    lines = map(json.loads, played.log.read_text().splitlines())
    return [line for line in lines if line["event"] == name]


def ends(played):
    return {
        line["contact_key"]: (line["status"], line["reason"])
        for line in events(played, "contact.settled")
    }


def test_a_person_who_is_in_the_file_twice_gets_one_message(tmp_path):
    """Known from the row or only from the platform: one message, the others are same_person."""
    with play(tmp_path, "plain", 1, QUICKLY) as played:
        write(
            played,
            "ended-0001-0,first,x-ended-0001-0,Ada",
            "active-0002-0,other,x-active-0002-0,Ben",
            "ended-0001-0,second,x-ended-0001-0,Ada",
            "ended-0001-0,third,,Ada",
        )
        ended = played.run(seconds=40)
        assert ended.returncode == 0, ended.stderr
        assert reached(played) == ["active-0002-0", "ended-0001-0"]
        found = ends(played)
        assert found.pop("other") == ("notified", "delivered")
        assert sorted(found.values()) == [
            ("opened", "delivered"),
            ("skipped", "same_person"),
            ("skipped", "same_person"),
        ]


def test_a_cap_holds_over_two_campaigns_of_one_ledger(tmp_path):
    """Who got the first campaign's message is left out of the second; a new person is not."""
    rules = {**QUICKLY, "rules.cap_messages": 1, "rules.cap_hours": 24}
    with play(tmp_path, "plain", 1, rules) as played:
        write(played, "active-0001-0,a,x-active-0001-0,Ada")
        assert played.run(seconds=40).returncode == 0
        played.campaign = "next"
        write(played, "active-0001-0,b,x-active-0001-0,Ada", "active-0002-0,c,,Ben")
        ended = played.run(seconds=40)
        assert ended.returncode == 0, ended.stderr
        assert reached(played) == ["active-0001-0", "active-0002-0"]
        assert ends(played)["b"] == ("skipped", "capped")
        assert ends(played)["c"] == ("notified", "delivered")


def test_the_suppression_list_and_the_quiet_hours(tmp_path):
    """Who is on the list is skipped; in the quiet hours nobody is asked about, and all wait."""
    people = tmp_path / "never.csv"
    people.write_text("# on request\nX-ACTIVE-0001-0,since May\n")
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=2)
    rules = {
        "engine.wait_limit_seconds": 1,
        "rules.suppression_file": str(people),
        "rules.quiet_hours": f"{begin:%H:%M}-{end:%H:%M}",
    }
    with play(tmp_path, "plain", 1, rules) as played:
        write(played, "active-0001-0,a,x-active-0001-0,Ada", "active-0002-0,b,,Ben")
        ended = played.run(seconds=40)
        assert ended.returncode == 10, ended.stderr
        assert ends(played) == {"a": ("skipped", "suppressed")}
        assert not reached(played)
        assert "check" not in played.sandbox.counts()["answers"]
        (deferred,) = events(played, "contact.deferred")
        assert deferred["reason"] == "quiet_hours"
        played.settings = {**rules, "rules.quiet_hours": ""}
        assert played.run(seconds=40).returncode == 10, "the contact waits for its due time"


def test_a_list_that_is_damaged_in_the_middle_of_a_run(tmp_path):
    """Nobody on the last good list is written to; the alarm is in the log and in the metrics."""
    people = tmp_path / "never.csv"
    listed = [f"ended-{n:04d}-0" for n in range(0, 240, 4)]
    people.write_text("\n".join(["since;external_contact_id", *(f"1;X-{name}" for name in listed)]))
    scenario = tmp_path / "quick.toml"
    scenario.write_text("[rate]\nallowed = 200\nwindow_seconds = 2.0\n")
    rules = {**QUICKLY, "rules.suppression_file": str(people), "engine.workers": 8}
    with play(tmp_path, scenario, 1, rules) as played:
        write(played, *(f"ended-{n:04d}-0,,x-ended-{n:04d}-0,Ada" for n in range(240)))
        running = played.start("--once")
        while len(reached(played)) < 20:
            assert running.poll() is None
            time.sleep(0.05)
        people.write_text("<html>Bad gateway</html>\n")
        before = set(reached(played))
        _, said = running.communicate(60)
        assert running.returncode == 0, said
        sent = reached(played)
        assert len(before) < 150 < len(sent) == 180
        assert not set(sent) & set(listed)
        assert [*ends(played).values()].count(("skipped", "suppressed")) == 60
        (alarm,) = events(played, "suppression.kept_last")
        assert "line 1: a value has separators" in alarm["detail"]
        played.metrics.settle()
        assert played.metrics.gauge("dispatcher.suppression.kept_last") == 1


def test_a_list_of_other_people_stops_the_run_before_a_send(tmp_path):
    """No value looks like any of the contacts: the export was of the wrong column."""
    people = tmp_path / "never.csv"
    people.write_text("Ada Lovelace\nGrace Hopper\n")
    with play(tmp_path, "plain", 1, {**QUICKLY, "rules.suppression_file": str(people)}) as played:
        write(played, "active-0001-0,a,x-active-0001-0,Ada")
        ended = played.run(seconds=40)
        assert ended.returncode == 3, ended.stderr
        assert "no value looks like an id or an address of the contacts" in ended.stderr
        assert "Ada" not in ended.stderr
        assert not reached(played)


def test_a_list_that_is_the_source_itself_stops_the_run_before_a_send(tmp_path):
    """All contacts would be skipped for good."""
    with play(tmp_path, "plain", 1, QUICKLY) as played:
        write(played, *(f"active-{n:04d}-0,k{n},x-active-{n:04d}-0,Ada" for n in range(20)))
        played.settings = {**QUICKLY, "rules.suppression_file": str(played.contacts)}
        ended = played.run(seconds=40)
        assert ended.returncode == 3, ended.stderr
        assert "matches 20 of the first 20 contacts of the source" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not ends(played)


def test_a_list_that_is_not_there_is_a_mistake_in_the_settings(tmp_path):
    """The user is told the key and the file, and nothing is sent."""
    with play(tmp_path, "plain", 1, {"rules.suppression_file": "nowhere.csv"}) as played:
        ended = played.run(seconds=40)
        assert ended.returncode == 2
        assert 'rules.suppression_file is not a file: "nowhere.csv"' in ended.stderr
        assert not reached(played)


def test_too_many_failures_end_the_run_with_a_code_of_its_own(tmp_path):
    """A channel that takes no messages is noticed early: the run drains and tells why."""
    rules = {
        "rules.halt_suspicious": False,
        "rules.stop_failed_share": 0.2,
        "rules.stop_failed_of": 50,
        "engine.workers": 4,
    }
    with play(tmp_path, "plain", 1, {**QUICKLY, **rules}) as played:
        write(played, *(f"channel-{n:04d}-0,k{n},,Ada" for n in range(400)))
        ended = played.run(seconds=40)
        assert ended.returncode == 14, ended.stderr
        assert "too many of the last contacts failed" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert 11 <= len(ends(played)) <= 40
        (told,) = events(played, "run.too_many_failures")
        assert "20.0% of the last 50" in told["detail"]
        played.metrics.settle()
        assert played.metrics.gauge("dispatcher.halted", "reason:failures") == 1
