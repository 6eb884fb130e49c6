"""Scenario files: defaults, every part, and all mistakes at once."""

import pytest

from dispatcher.sandbox.scenario.model import OtherProgramRules, Spread
from dispatcher.sandbox.scenario.scenario import Scenario, ScenarioError, load
from dispatcher.sandbox.scenario.value_types import READ_SCOPES, WRITE_SCOPES
from tests.support.sandbox_process import DEMO_SCENARIO, SCENARIOS

SHIPPED = [*sorted(SCENARIOS.glob("*.toml")), DEMO_SCENARIO]


def test_an_empty_scenario_is_the_contract_with_its_defaults():
    scenario = load({})
    assert scenario == Scenario()
    assert (scenario.rate.allowed, scenario.rate.window_seconds) == (300, 60.0)
    assert scenario.token.granted == READ_SCOPES + WRITE_SCOPES


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_are_right_and_say_what_they_are_for(path):
    load(path)
    assert path.read_text().startswith("# ")


def test_every_mistake_is_reported_with_file_and_key(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(
        "seed = 'x'\nsede = 1\n[rate]\nallowed = 0\n[rate.other]\nmode = 'wild'\n"
        "[[fault]]\nkind = 'earthquake'\nprobability = 2.0\n[[event]]\naction = 'down'\n"
        "[world.shares]\nnobody = 1\n[latency.sends]\nms = 3\n"
    )
    with pytest.raises(ScenarioError) as raised:
        load(path)
    mistakes = raised.value.mistakes
    assert all(line.startswith(f"{path}: ") for line in mistakes)
    for key in (
        "seed:",
        "sede: unknown key; did you mean 'seed'?",
        "rate.allowed:",
        "rate.other.mode:",
        "fault[1].kind:",
        "fault[1].probability:",
        "event[1].at_seconds:",
        "world.shares.nobody:",
        "latency.sends:",
    ):
        assert any(key in line for line in mistakes), key
    assert len(mistakes) == 9


def test_a_file_that_is_no_toml_or_not_there_is_a_mistake_too(tmp_path):
    (tmp_path / "bad.toml").write_text("[[[")
    for name in ("bad.toml", "none.toml"):
        with pytest.raises(ScenarioError, match=name):
            load(tmp_path / name)


def test_parts_are_read():
    scenario = load(
        {
            "token": {"mask": "all", "lives": 3, "granted": ["a"]},
            "rate": {"phase": 0.5, "other": {"per_window": 7, "mode": "burst"}},
            "limit": [{"endpoint": "notify", "key": "k", "value": 5}],
            "latency": {"check": {"kind": "uniform", "low_ms": 1, "high_ms": 2}},
            "fault": [{"kind": "slow", "endpoint": "open", "nth": [2, 3]}],
            "event": [{"action": "revoke", "after_effects": 9, "mask": True}],
            "world": {"shares": {"gone": 1}},
        }
    )
    assert (scenario.token.mask, scenario.token.lives) == ("all", 3.0)
    assert scenario.rate.other == OtherProgramRules(7, "burst")
    assert scenario.limit[0].key == "k"
    assert scenario.latency["check"] == Spread("uniform", low_ms=1.0, high_ms=2.0)
    assert (scenario.fault[0].targets, scenario.fault[0].nth) == (("open",), (2, 3))
    assert (scenario.event[0].mask, scenario.event[0].scopes) == (True, WRITE_SCOPES)
    assert scenario.world.shares == {"gone": 1.0}


@pytest.mark.parametrize(
    "part",
    [
        {"token": {"mask": True, "unauthorized": True}},
        {"token": {"mask": "some"}},
        {"token": {"granted": "write"}},
        {"token": []},
        {"fault": {"kind": "slow"}},
        {"fault": [{"kind": "slow", "every": 2, "probability": 0.0}]},
        {"fault": [{"kind": "reset_after", "effect": True}]},
        {"fault": [{"kind": "redirect", "status": 301}]},
        {"fault": [{"kind": "slow", "endpoint": "nothing"}]},
        {"fault": [{"kind": "slow", "endpoint": 1}]},
        {"fault": [{"kind": "slow", "nth": [0]}]},
        {"latency": {"check": {"kind": "uniform", "low_ms": 2, "high_ms": 1}}},
        {"world": {"shares": {"ended": 0}}},
        {"log_text": 1},
        {"rate": {"window_seconds": float("nan")}},
        {"limit": [{"endpoint": "notify"}]},
        {"event": [{"action": "turn", "at_seconds": 1}]},
        {"event": [{"action": "turn", "at_seconds": 1, "kinds": {"ended": "nothing"}}]},
    ],
)
def test_one_mistake_is_reported_once(part):
    with pytest.raises(ScenarioError) as raised:
        load(part)
    assert len(raised.value.mistakes) == 1


def test_a_mistake_between_keys_is_reported_beside_the_others_of_its_table():
    with pytest.raises(ScenarioError) as raised:
        load(
            {
                "event": [{"action": "deny", "lack": "fly", "mask": "some"}],
                "fault": [{"kind": "slow", "evry": 2}],
            }
        )
    assert raised.value.mistakes == [
        "scenario: fault[1].evry: unknown key; did you mean 'every'?",
        "scenario: event[1].at_seconds: set either at_seconds or after_effects",
        "scenario: event[1].mask: must be true, false or 'all', not 'some'",
        "scenario: event[1].lack: must be 'no', 'scope', 'permission' or 'division', not 'fly'",
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"fault": [{"kind": "redirect", "status": 307.0}]},
        {"genesys": {"active_status": 409.0}},
        {"token": {"mask": 1}},
    ],
)
def test_a_choice_is_accepted_in_its_own_type_alone(part):
    with pytest.raises(ScenarioError):
        load(part)


def test_a_delay_that_names_only_its_kind_keeps_the_default_duration():
    fault = load({"fault": [{"kind": "slow", "delay": {"kind": "lognormal"}}]}).fault[0]
    assert (fault.delay.kind, fault.delay.ms) == ("lognormal", 2000.0)
