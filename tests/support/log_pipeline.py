"""What a log pipeline of Datadog makes of a line of JSON, with the processors that ours has.

Source: Datadog's documentation of log pipelines and processors. Left out: everything else, such as
grok; an unknown processor is an error.
"""

import json
import re
from datetime import datetime

_FILTER = re.compile(r"@(\w+):\(([^)]*)\)")
_STATUSES = {"w": "warn", "e": "error", "i": "info", "d": "debug", "c": "critical"}


def process(pipeline, sample):
    """Return the log as the tests of Datadog's integrations describe it."""
    log = {"custom": {}, "message": sample, "tags": ["source:LOGS_SOURCE"]}
    for name, value in json.loads(sample).items():
        _put(log["custom"], name, value)
    _run(pipeline["processors"], log)
    return log


def _run(processors, log):
    for processor in processors:
        _PROCESSORS[processor["type"]](processor, log)


def _put(attributes, path, value):
    *parents, last = path.split(".")
    for parent in parents:
        attributes = attributes.setdefault(parent, {})
    attributes[last] = value


def _get(log, processor):
    """Return the value of the first source that the log has."""
    for path in processor["sources"]:
        value = log["custom"]
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _date(processor, log):
    moment = datetime.fromisoformat(_get(log, processor))
    log["timestamp"] = round(moment.timestamp() * 1000)


def _official(field, convert=str):
    def remap(processor, log):
        if (value := _get(log, processor)) is not None:
            log[field] = convert(value)

    return remap


def _attribute(processor, log):
    value = _get(log, processor)
    if value is None:
        return
    target = processor["target"]
    if processor["targetType"] == "tag":
        log["tags"].append(f"{target}:{value}")
    else:
        _put(log["custom"], target, value)


def _nested(processor, log):
    (found,) = _FILTER.findall(processor["filter"]["query"])
    if log["custom"].get(found[0]) in found[1].split(" OR "):
        _run(processor["processors"], log)


_PROCESSORS = {
    "date-remapper": _date,
    "message-remapper": _official("message"),
    "status-remapper": _official("status", lambda level: _STATUSES[level[0]]),
    "service-remapper": _official("service"),
    "attribute-remapper": _attribute,
    "trace-id-remapper": lambda _processor, _log: None,
    "pipeline": _nested,
}
