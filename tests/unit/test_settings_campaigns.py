"""Several campaigns in one configuration: what is taken, and every mistake in the list."""

from pathlib import Path

import pytest

from dispatcher.settings import SettingsError, describe, load, warnings

SECRETS = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
PLATFORM = '[platform]\nbase_url = "https://api.example.com"\n'
TWO = (
    PLATFORM + '[message]\ntext = "Hello"\n'
    '[[campaigns]]\nname = "carts"\nshare = 3\n[campaigns.source]\npath = "*.csv"\n'
    'columns = { text = "T" }\n[campaigns.message]\ntext = "Your cart"\n'
    '[[campaigns]]\nname = "questions"\npriority = 2\n[campaigns.source]\npath = "-"\n'
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dispatcher.toml"
    path.write_text(TWO)
    return path


def read(config, text=None, *, sets=(), env=None, purpose="run", **flags):
    if text is not None:
        config.write_text(text)
    return load(config, env=SECRETS | (env or {}), sets=sets, flags=flags, purpose=purpose)


def wrong(config, text=None, **how):
    with pytest.raises(SettingsError) as caught:
        read(config, text, **how)
    return {mistake.key: mistake for mistake in caught.value.mistakes}


def test_each_campaign_has_its_own(config):
    """Source, share and priority are each one's own; a message is, or is the one on top."""
    carts, questions = read(config).campaigns
    assert (carts.name, carts.source.path, carts.share, carts.priority) == ("carts", "*.csv", 3, 0)
    assert (questions.name, questions.source.path, questions.priority) == ("questions", "-", 2)
    assert (carts.message.text, questions.message.text) == ("Your cart", "Hello")
    assert carts.source.columns == {"text": "T"}


def test_the_short_form_is_a_list_of_one(config):
    """All campaigns are in one place."""
    text = 'campaign = "c1"\n' + PLATFORM + '[source]\npath = "-"\n[message]\ntext = "Hi"\n'
    settings = read(config, text)
    (only,) = settings.campaigns
    assert (only.name, only.source, only.message) == ("c1", settings.source, settings.message)
    assert "campaigns" not in describe(settings)


def test_one_campaign_as_the_short_form_has_it(config):
    """The settings as one campaign has them read like those of a run of its own."""
    settings = read(config)
    alone = settings.only(settings.campaigns[1])
    assert (alone.campaign, alone.source.path, alone.message.text) == ("questions", "-", "Hello")
    assert alone.campaigns == settings.campaigns[1:]
    assert alone.platform == settings.platform


def test_the_flag_chooses_one_of_the_list(config):
    """--campaign runs one alone; the others need not even have a source that is there."""
    text = TWO.replace('"*.csv"', '"/nowhere.csv"')
    settings = read(config, text, campaign="questions")
    assert [campaign.name for campaign in settings.campaigns] == ["questions"]
    assert settings.campaign == "questions"
    assert settings.origin("campaigns[1].name").line == 14
    assert "campaigns[2]" not in describe(settings)
    mistake = wrong(config, TWO, campaign="question")["campaign"]
    assert (mistake.where, mistake.hint) == ("--campaign", "there are: carts, questions")


def test_show_prints_every_campaign_with_its_places(config):
    """One line for each key of each campaign, and where it was set; nothing of the short form."""
    text = describe(read(config))
    assert f'campaigns[1].source.path = "*.csv"{" " * 9}' in text
    for line, key in ((6, "[1].name"), (9, "[1].source.path"), (15, "[2].priority")):
        (found,) = (line for line in text.splitlines() if f"campaigns{key} =" in line)
        assert found.endswith(f"# {config}:{line}")
    (inherited,) = (line for line in text.splitlines() if "campaigns[2].message.text" in line)
    assert 'text = "Hello"' in inherited
    assert inherited.endswith(f"# {config}:4")
    assert not [line for line in text.splitlines() if line.startswith(("campaign ", "source."))]
    subject = TWO.replace('text = "Hello"', 'subject = "S"')
    (first, second) = (
        line.split("# ")
        for line in describe(read(config, subject)).splitlines()
        if line.startswith("campaigns") and "message.subject" in line
    )
    assert ('= ""' in first[0], first[1]) == (True, "default")
    assert ('= "S"' in second[0], second[1]) == (True, f"{config}:4")


def test_all_mistakes_of_a_list_at_once(config):
    """Types, bounds, unknown and missing keys, in whichever campaign: each with line and key."""
    found = wrong(
        config,
        PLATFORM + '[[campaigns]]\nname = "two words"\nshare = 0\nsorce = 1\n'
        "[[campaigns]]\n[campaigns.source]\nwatch = 3\n"
        '[[campaigns]]\nname = "c"\n[campaigns.source]\npath = "/nowhere.csv"\n',
        sets=["engine.workers=0"],
    )
    assert {key: mistake.line for key, mistake in found.items()} == {
        "engine.workers": None,
        "campaigns[1].name": 4,
        "campaigns[1].share": 5,
        "campaigns[1].sorce": 6,
        "campaigns[1].source.path": 3,
        "campaigns[2].name": 7,
        "campaigns[2].source.path": 7,
        "campaigns[2].source.watch": 9,
        "campaigns[3].source.path": 13,
    }
    assert found["campaigns[1].sorce"].hint == "did you mean source?"
    assert "does not exist" in found["campaigns[3].source.path"].problem


def test_both_forms_together(config):
    """Whatever of the short form is set besides a list is named where it was set."""
    text = 'campaign = "c1"\n' + TWO + '[source]\npath = "-"\ntimezone = "UTC"\n'
    env = {"DISPATCHER__SOURCE__WATCH": "true"}
    found = wrong(config, text, env=env, **{"source.path": "x.csv"})
    assert {key: str(m).split(": ")[0].replace(str(config), "") for key, m in found.items()} == {
        "campaign": ":1",
        "source.path": "--source",
        "source.timezone": ":21",
        "source.watch": "environment",
    }
    assert all("[[campaigns]]" in mistake.problem for mistake in found.values())


@pytest.mark.parametrize(
    ("change", "key", "line", "words"),
    [
        (
            ('"questions"', '"carts"'),
            "campaigns[2].name",
            14,
            "is already the name of another",
        ),
        (('"questions"', '"CARTS"'), "campaigns[2].name", 14, "only in the case of its letters"),
        (('"*.csv"', '"-"'), "campaigns[2].source.path", 17, "standard input"),
        (("share = 3", "share = true"), "campaigns[1].share", 7, "must be a number"),
        (('path = "-"', 'path = "-"\nwatch = true'), "campaigns[2].source.watch", 18, "standard"),
        (('columns = { text = "T" }', "columns = 3"), "campaigns[1].source.columns", 10, "table"),
        (('{ text = "T" }', '{ mail = "T" }'), "campaigns[1].source.columns.mail", 10, "one of"),
    ],
)
def test_mistakes_in_a_list(config, change, key, line, words):
    """Each is named with its line, its place in the list and what would be right."""
    found = wrong(config, TWO.replace(*change))
    assert [(key, found[key].line)] == [(k, m.line) for k, m in found.items()]
    assert words in found[key].problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("campaigns = []\n", "is empty"),
        ('[campaigns]\nname = "c"\n', "must be a list of tables"),
        ("campaigns = [1]\n", "must be a list of tables"),
    ],
)
def test_a_list_that_is_none(config, text, problem):
    """No campaign, or one table in place of a list, is one mistake."""
    found = wrong(config, text + PLATFORM)
    assert {key: mistake.problem for key, mistake in found.items()} == {"campaigns": problem}


def test_no_campaign_at_all(config):
    """Without either form the short form's keys are missing."""
    assert list(wrong(config, PLATFORM)) == ["campaign", "source.path"]


@pytest.mark.parametrize("key", ["campaigns", "campaigns[1].share"])
def test_the_list_is_set_in_the_file_alone(config, key):
    """--set and variables address what there is once."""
    assert "file only" in wrong(config, sets=[f"{key}=3"])[key].problem
    env = {f"DISPATCHER__{key.upper().replace('.', '__')}": "3"}
    (found,) = wrong(config, env=env).values()
    assert "file only" in found.problem


def test_lines_of_a_list_in_one_line(config):
    """Campaigns that are written as inline tables have the line of the list."""
    text = 'campaigns = [{ name = "a", share = -1, source = { path = "-" } }]\n' + PLATFORM
    assert {key: m.line for key, m in wrong(config, text).items()} == {"campaigns[1].share": 1}


def test_status_needs_the_names_alone(config):
    """To read a ledger no source has to be there."""
    text = '[[campaigns]]\nname = "a"\n[[campaigns]]\nname = "b"\n'
    assert read(config, text, purpose="status").title == "a, b"


def test_names_that_are_one_tag_value_are_a_warning(config):
    """Datadog would add their metrics up."""
    (warning,) = warnings(read(config, TWO.replace('"questions"\npriority = 2', '"carts_"')))
    assert warning.startswith("campaigns carts, carts_: Datadog stores each name as carts")


def test_warnings_name_the_campaign(config):
    """An empty message is reported with its campaign, a priority that has no effect once."""
    first, second = warnings(read(config, TWO.replace('text = "Hello"\n', "")))
    assert first.startswith("campaign questions: message.text is empty")
    assert "priorities" in second
