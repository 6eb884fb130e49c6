"""The JSON Schema of dispatcher.toml: it accepts what is right, and finds mistakes."""

import json
import re
import tomllib
from datetime import date, datetime

import jsonschema
import pytest
from click.testing import CliRunner

from dispatcher.cli import cli
from tests.support.config_schema import ROOT, SCHEMA, content

VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
NEEDED = {
    "campaign": "c1",
    "source": {"path": "c.csv"},
    "platform": {"base_url": "https://a.example.com"},
}
FILES = sorted(
    path
    for folder in ("config", "deploy", "dispatcher/data")
    for path in (ROOT / folder).rglob("*.toml")
    if not {"scenarios", "sandbox"} & set(path.parts) and path.name != "scenario.toml"
)
FOR_SANDBOXES = ("docs/sandbox.md",)
"""Documents whose TOML is of scenarios."""
TOML_BLOCK = re.compile(r"```toml\n(.*?)```", re.DOTALL)
BLOCKS = [
    (path.name, number, block)
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    if str(path.relative_to(ROOT)) not in FOR_SANDBOXES
    for number, block in enumerate(TOML_BLOCK.findall(path.read_text("utf-8")))
]


def mistakes(settings):
    """Return where a configuration is wrong."""
    plain = json.loads(json.dumps(settings, default=_as_text))
    return [".".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(plain)]


def _as_text(value):
    assert isinstance(value, date | datetime)
    return value.isoformat()


def test_the_file_in_the_package_is_that_of_the_models_and_comments():
    """`make schema` writes it."""
    assert SCHEMA.read_text("utf-8") == content()


def test_it_is_a_schema_and_describes_every_key():
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    for definition in (VALIDATOR.schema, *VALIDATOR.schema["$defs"].values()):
        for key, value in definition["properties"].items():
            assert value.get("description"), key


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_configuration_of_the_repository_is_valid(path):
    assert mistakes(tomllib.loads(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(("name", "number", "block"), BLOCKS)
def test_each_block_of_the_documents_is_valid(name, number, block):
    """A block shows a part of a file, so that what a file needs beside it is added."""
    settings = tomllib.loads(block)
    short = {} if "campaigns" in settings else {"campaign": "c1", "source": {}}
    whole = {**short, "platform": {}, **settings}
    for section in ("source", "platform"):
        if section in whole and not {"kind", "dialect"} & set(whole[section]):
            whole[section] = {**NEEDED[section], **whole[section]}
    assert mistakes(whole) == []


MISTAKES = {
    'platform.base_ulr = "https://api.example.com"': "platform",
    'campaign = "cart 2026"': "campaign",
    'platform.base_url = "http://api.example.com"': "platform.base_url",
    'platform.base_url = "https://api.example.com/api/v2"': "platform.base_url",
    'platform.dialect = "genesis"': "platform.dialect",
    'platform.region = "mypurecloud.de"': "platform.region",
    "platform.requests_per_minute = 0": "platform.requests_per_minute",
    'platform.requests_per_minute = "300"': "platform.requests_per_minute",
    "platform.states_per_call = 101": "platform.states_per_call",
    'platform.dialect = "genesys"': "platform",
    "engine.workers = 2.5": "engine.workers",
    'client_secret = "s"': "",
    'credentials.client_secret = "s"': "credentials",
    'credentials.source = "vault"': "credentials",
    'credentials.token_file = "t"': "credentials.token_file",
    'source.kind = "sql"': "source",
    'source.kind = "kafka"\nsource.path = "c.csv"': "source",
    "source.sql = {}": "source.sql",
    'source.path = "s3://bucket/c.csv"': "source.path",
    'source.columns = { conversation = "CONV" }': "source.columns",
    'source.path = "-"\nsource.watch = true': "source.path",
    'ledger.url = "postgresql://h/d"\nledger.path = "l.db"': "ledger.path",
    'ledger.durable = "replicated"': "ledger.durable",
    '[[campaigns]]\nname = "c2"': "campaign",
    '[[clients]]\nname = "North"': "clients.0.name",
    '[[sinks]]\nname = "lake"\nkind = "objekts"': "sinks.0",
    "retry.waiting_share = 25": "retry.waiting_share",
    'rules.opt_out_columns = "no_mail"': "rules.opt_out_columns",
}


@pytest.mark.parametrize(("text", "place"), MISTAKES.items())
def test_mistakes_are_found_where_they_are(text, place):
    settings = tomllib.loads(text)
    whole = {**NEEDED, **settings}
    for section in ("source", "platform"):
        whole[section] = {**NEEDED[section], **settings.get(section, {})}
    assert mistakes(NEEDED) == []
    assert place in mistakes(whole)


def test_the_command_prints_it():
    assert CliRunner().invoke(cli, ["config", "schema"]).output == SCHEMA.read_text("utf-8")
