"""The code blocks of all documents are what they say: settings, JSON, and commands that exist."""

import configparser
import json
import tomllib

import pytest

from dispatcher.sandbox.scenario.scenario import load as load_scenario
from dispatcher.settings import SettingsError, load
from tests.support.documented_commands import command_lines, problem_of
from tests.support.documents import ROOT, blocks, documents, inline_code
from tests.support.least_settings import NEEDED, SECRETS

TOML = {str(block): block for block in blocks("toml")}


def is_about_another_machine(mistake):
    """True if a file or a variable is missing that only the reader has."""
    words = ("does not exist", "is not a file", "is not set", "that exists")
    return any(word in mistake.problem for word in words)


def mistakes_of(path, text):
    """What the loader finds wrong with a part of a configuration; the rest is the least one."""
    path.write_text(text)
    found = tomllib.loads(text)
    needed = dict(NEEDED)
    if "campaign" in found or "campaigns" in found:
        del needed["campaign"]
    for section, key in (("source", "path"), ("platform", "base_url")):
        if {key, "kind"} & {*found.get(section, ())}:
            del needed[f"{section}.{key}"]
    try:
        load(path, env=SECRETS, flags=needed)
    except SettingsError as error:
        return [str(one) for one in error.mistakes if not is_about_another_machine(one)]
    return []


@pytest.mark.parametrize("place", TOML)
def test_settings_are_settings(place, tmp_path):
    """Each block of TOML is a part of a configuration, or a scenario of the sandbox."""
    path, text = tmp_path / "a.toml", TOML[place].text
    mistakes = mistakes_of(path, text)
    if mistakes:
        try:
            load_scenario(path)
        except Exception as error:  # noqa: BLE001 - what it is, is shown
            pytest.fail(f"{place}: no configuration: {mistakes}; no scenario: {error}")


def documents_of(text):
    """A document, or one in each line, as in a log."""
    try:
        return [json.loads(text)]
    except ValueError:
        lines = text.splitlines()
        if len(lines) == 1:
            raise
        return [json.loads(line) for line in lines]


def test_json_is_json():
    for block in blocks("json"):
        try:
            documents_of(block.text)
        except ValueError as error:
            pytest.fail(f"{block}: {error}")


def test_units_are_units():
    for block in blocks("ini"):
        configparser.ConfigParser(interpolation=None, strict=False).read_string(block.text)


def test_commands_in_scripts_exist():
    """Each command of the dispatcher in a block of a shell, with each of its options."""
    found = [(str(block), words) for block in blocks("sh") for words in command_lines(block.text)]
    assert len(found) >= 40
    wrong = [f"{place}: {problem}" for place, words in found if (problem := problem_of(words))]
    assert wrong == []


def test_commands_in_sentences_exist():
    wrong = []
    for path in documents():
        if path.name == "CHANGELOG.md":  # of earlier versions, too
            continue
        for line, code in inline_code(path):
            if code.startswith("dispatcher "):
                problems = map(problem_of, command_lines(code))
                wrong += [f"{path.relative_to(ROOT)}:{line}: {one}" for one in problems if one]
    assert wrong == []


NO_LIMIT = "dispatcher status has no option --limit"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("A=1 dispatcher run --once --set a=b > log & sleep 3", ""),
        ("kubectl -n dispatcher exec deploy/dispatcher -- dispatcher status", ""),
        ("docker compose exec dispatcher-2 dispatcher status --limit", NO_LIMIT),
        ("zcat x | /opt/bin/dispatcher run --source -", ""),
        ("dispatcher --debug ledger copy --from A --to B", ""),
        ("dispatcher run --onec", "dispatcher run has no option --onec"),
        ("dispatcher run --config=a --limt=2", "dispatcher run has no option --limt=2"),
        ("echo a && dispatcher ledger cpoy", "dispatcher ledger has no command cpoy"),
    ],
)
def test_a_wrong_command_is_found(line, problem):
    (words,) = command_lines(line)
    assert problem_of(words) == problem
