"""Makes the JSON Schema of dispatcher.toml: ``python -m tests.support.config_schema``.

Types, bounds and defaults are those of the settings models, descriptions the comments of
config/dispatcher.toml. What settings must have in common is here, as far as JSON Schema can say
it; `dispatcher check` says the rest.
"""

import json
import re
import sys
from pathlib import Path

from pydantic import BaseModel

from dispatcher.settings.ledger import OF_A_SERVER
from dispatcher.settings.model import SECRETS, Settings
from dispatcher.settings.source_kinds import NEEDED_SECTIONS, SECTIONS, WITH_PATH

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "dispatcher" / "data" / "dispatcher.schema.json"
EXAMPLE = ROOT / "config" / "dispatcher.toml"

OF_SINKS = {
    "name": "Lower-case letters, digits and _; a part of names at the target: do not change it.",
    "kind": "What takes the lineage; a webhook gets notices.",
    "campaigns": "Only what concerns these campaigns; empty: all.",
    "flush_seconds": "How long rows wait at most before they go out.",
    "rows_per_range": "The most rows of a range.",
    "url": "The address of the database, of the object store or of the web server.",
    "table": "The table of the lineage.",
    "cursor_table": "The table with the place up to which rows have arrived.",
    "table_schema": "The schema of the tables; empty: that of the connection.",
    "create_tables": "Create the tables if they do not exist.",
    "format": "The format of the objects.",
    "endpoint": "The address of a server that is not the provider's own.",
    "region": "The region of the bucket.",
    "allow_http": "Permit requests without TLS.",
    "idempotent": "Whether the broker removes what is sent twice after a lost answer.",
}
OF_SECTIONS = {
    ("CampaignSettings", "name"): "The name of the campaign.",
    ("CampaignSettings", "message"): "Without it [message] at the top is used.",
    ("CampaignSettings", "rules"): "Without it [rules] at the top is used.",
    ("", "message"): "What is sent if the row has no text.",
    ("", "source"): "Where contacts are read from.",
    ("", "platform"): "The API that is called, and its quota.",
    ("", "credentials"): "Where the credentials are kept. Secrets are never in this file.",
    ("", "ledger"): "Where the durable record of every contact's progress is kept.",
    ("", "control"): "Where the running dispatcher receives commands.",
    ("", "engine"): "How much is done at a time, and how long a stop or a halt may take.",
    ("", "retry"): "The bounds of retries.",
    ("", "reconcile"): "What is assumed about a send without a clear answer.",
    ("", "rules"): "Who is not written to, or not now, and when the campaign stops.",
    ("", "telemetry"): "Metrics, logs, traces and the health address.",
    ("", "campaigns"): "Several campaigns in one run, in place of `campaign` and [source].",
    ("", "clients"): "Several OAuth clients as a pool; without it there is one.",
    ("", "sinks"): "Where the lineage goes as it is written.",
    ("", "objects"): 'How an object store is reached, if kind = "objects".',
    ("", "sql"): 'The query of a SQL database, if kind = "sql".',
    ("", "snowflake"): 'The query of Snowflake, if kind = "snowflake".',
    ("", "kafka"): 'The topic that contacts are read from, if kind = "kafka".',
    ("", "http"): 'How clients post contacts, if kind = "http".',
}
"""What no comment of the example says; of any model if none is named."""


def descriptions(text):
    """Yield (section, key, description) of each key in a file with comments."""
    section, comments, current, is_comment = "", [], "", False
    for line in text.splitlines():
        if not line.strip():
            is_comment, comments, current = False, [], ""
        elif found := re.match(r"(# )?\[\[?([a-z_.]+)\]\]?\s*(?:#.*)?$", line):
            section, is_comment, comments, current = found[2], bool(found[1]), [], ""
        elif found := re.match(r"([a-z_]+) = |# ([a-z_]+) = (?=.)", line):
            if found[2] and not is_comment:
                comments.append(line.removeprefix("# "))
                continue
            current = " ".join(comments) or current
            comments = []
            aside = re.search(r"\s{2,}# (.+)$", line)
            yield section, found[1] or found[2], aside[1] if aside else current
        elif line.startswith("#"):
            comments.append(line.lstrip("# "))


def texts():
    """Return the description of each key, by model."""
    models = _models(Settings, "")
    found = {}
    for section, key, text in descriptions(EXAMPLE.read_text("utf-8")):
        model = models.get(section)
        if model is not None and text and (model, key) not in found:
            found[model, key] = text
    return found


def _models(model, path):
    """Return the name of the model of each section."""
    models = {path: model.__name__}
    for name, field in model.model_fields.items():
        below = f"{path}.{name}" if path else name
        for inner in _sections(field.annotation):
            models |= _models(inner, below)
    return models


def _sections(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _sections(part)]


def schema():
    """Return the whole schema."""
    raw = Settings.model_json_schema(mode="validation")
    definitions = raw.pop("$defs")
    for name in SECRETS:
        del raw["properties"][name]
    definitions["Settings"] = raw
    known = texts()
    for model, definition in definitions.items():
        for key, value in definition["properties"].items():
            text = _text(known, model, key, value)
            value.pop("title", None)
            if text:
                value["description"] = text
            if isinstance(value.get("default", {}), dict | None):
                value.pop("default", None)
        definition.pop("title", None)
        definition["allOf"] = RULES.get(model, [])
        if not definition["allOf"]:
            del definition["allOf"]
    top = definitions.pop("Settings")
    top.pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dispatcher.toml",
        **top,
        "description": "The configuration of `dispatcher run`.",
        "$defs": dict(sorted(definitions.items())),
    }


def _text(known, model, key, value):
    if text := known.get((model, key)):
        return text
    if model.endswith("SinkSettings") or model == "WebhookSettings":
        likely = [known.get((m, key)) for m in ("KafkaSettings", "SnowflakeSettings")]
        return OF_SINKS.get(key) or next(filter(None, likely), "")
    return OF_SECTIONS.get((model, key)) or OF_SECTIONS.get(("", key), "")


def _when(condition, then):
    """Return a rule for the tables that fit a condition."""
    return {"if": condition, "then": then}


def _has(**values):
    """Return the condition that these keys are there, with these values."""
    return {"properties": {k: _is(v) for k, v in values.items()}, "required": list(values)}


def _lacks(key, value):
    """Return the condition that a key is not there, or has this value."""
    return {"properties": {key: _is(value)}}


def _is(value):
    if isinstance(value, dict):
        return value
    return {"enum": list(value)} if isinstance(value, tuple) else {"const": value}


FILLED = {"minLength": 1}
NEVER = {"not": {}}


def _only_default(model, names):
    """Return what permits keys with their default alone."""
    fields = model.model_fields
    return {"properties": {name: {"const": fields[name].default} for name in names}}


def _not_both(first, second):
    return {"not": _has(**{first: FILLED, second: FILLED})}


def _named(model):
    return next(inner for field in Settings.model_fields.values()
                for inner in _sections(field.annotation) if inner.__name__ == model)  # fmt: skip


_PASSWORDS = [_not_both("password_file", "password_variable")]
_PLATFORM, _CREDENTIALS, _LEDGER = map(
    _named, ("PlatformSettings", "CredentialsSettings", "LedgerSettings")
)
_OF_GENESYS = (
    "region", "login_url", "from_address", "messenger", "template", "template_parameter",
    "barge_in", "lineage",
)  # fmt: skip
_OF_FILES = ("client_id_file", "client_secret_file", "token_file")
_OF_VAULT = tuple(name for name in _CREDENTIALS.model_fields if name.startswith("vault_"))
_OF_AWS = tuple(name for name in _CREDENTIALS.model_fields if name.startswith("aws_"))
_OBJECTS = "^(s3|gs|az|https?)://"

RULES = {
    "Settings": [
        {"if": {"required": ["campaigns"]},
         "then": {"properties": {"campaign": NEVER, "source": NEVER}},
         "else": {"required": ["campaign", "source", "platform"]}},
    ],
    "SourceSettings": [
        _when(_lacks("kind", WITH_PATH), {"required": ["path"]}),
        *(_when(_has(kind=kind), {"required": [kind]}) for kind in NEEDED_SECTIONS),
        *(_when({"required": [kind]}, _has(kind=kind)) for kind in SECTIONS),
        _when(_has(kind=tuple(k for k in SECTIONS if k not in WITH_PATH)),
              {"properties": {"path": {"enum": ["", "-"]}}}),
        _when(_lacks("kind", "files"), {"properties": {"path": {"not": {"pattern": _OBJECTS}}}}),
        _when(_has(kind="objects"), {"properties": {"path": {"pattern": _OBJECTS}}}),
        _when(_has(watch=True), {"properties": {"path": {"not": {"const": "-"}}}}),
    ],
    "PlatformSettings": [
        _when(_lacks("dialect", "messaging"),
              {**_has(base_url=FILLED), "allOf": [_only_default(_PLATFORM, _OF_GENESYS)]}),
        _when(_has(dialect="genesys"),
              {"allOf": [_has(from_address=FILLED),
                         {"anyOf": [_has(region=FILLED), _has(base_url=FILLED)]}]}),
        _when(_has(messenger="whatsapp"), _has(template=FILLED)),
        _when(_has(template=FILLED), _has(messenger="whatsapp")),
        _when(_has(template_parameter=FILLED), _has(template=FILLED)),
    ],
    "CredentialsSettings": [
        _when(_lacks("source", ("env", "vault", "aws")), _only_default(_CREDENTIALS, _OF_FILES)),
        _when(_lacks("source", ("env", "file", "aws")), _only_default(_CREDENTIALS, _OF_VAULT)),
        _when(_lacks("source", ("env", "file", "vault")), _only_default(_CREDENTIALS, _OF_AWS)),
        _when(_has(source="file"),
              {"anyOf": [_has(token_file=FILLED),
                         _has(client_id_file=FILLED, client_secret_file=FILLED)]}),
        _when(_has(source="vault"), _has(vault_path=FILLED)),
        _when(_has(vault_auth="approle"), _has(vault_role_id=FILLED)),
        _when(_has(vault_auth="kubernetes"), _has(vault_role=FILLED)),
        _when(_has(source="aws"), _has(aws_secret_id=FILLED)),
    ],
    "LedgerSettings": [
        _when(_has(url=FILLED), {"properties": {"path": NEVER}}),
        _when(_lacks("url", ""), _only_default(_LEDGER, OF_A_SERVER)),
        *_PASSWORDS,
    ],
    "SqlSettings": _PASSWORDS,
    "SqlSinkSettings": _PASSWORDS,
    "KafkaSinkSettings": _PASSWORDS,
    "WebhookSettings": _PASSWORDS,
}  # fmt: skip


def content():
    """Return the content of the file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(content(), encoding="utf-8")
    sys.stdout.write(f"{SCHEMA.relative_to(ROOT)} was written.\n")
