"""The log pipeline makes date, message, status and tags of the dispatcher's own lines."""

import time

import pytest
import structlog
import yaml

from dispatcher.domain import events as e
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.telemetry.datadog_assets.bundle import FOLDER, read_bundle
from dispatcher.telemetry.logs.setup import configure
from dispatcher.telemetry.logs.sink import LogSink
from tests.support.log_pipeline import process

PIPELINE = read_bundle().pipeline["pipeline"]
TESTS = yaml.safe_load((FOLDER / "assets" / "logs" / "dispatcher_tests.yaml").read_text())["tests"]
SETTLED = e.Settled(
    "key-1", "old-1", Status.OPENED, Reason.DELIVERED, Relation.LINKED, "new-1", "m-1", "r-1", 0.5
)
FAILED = e.Answered(Step.OPEN, "409", 0.1, "key-1", "old-1", "r-1", failed=True, words="Conflict")


@pytest.fixture(autouse=True)
def _put_back():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("case", TESTS, ids=lambda case: case["result"]["message"])
def test_the_shipped_samples(case):
    assert process(PIPELINE, case["sample"]) == case["result"]


@pytest.mark.parametrize(
    ("event", "message", "status"),
    [(SETTLED, "contact.settled", "info"), (FAILED, "request.failed", "warn")],
)
def test_lines_as_the_dispatcher_writes_them(tmp_path, event, message, status):
    """The status of a contact or of HTTP is never the status of the line; time is its date."""
    logs = configure("json", path=tmp_path / "log", level="debug")
    LogSink(campaign="cart").emit(event)
    assert logs.close()
    log = process(PIPELINE, (tmp_path / "log").read_text().splitlines()[0])
    assert (log["message"], log["status"]) == (message, status)
    assert abs(log["timestamp"] / 1000 - time.time()) < 60
    assert "campaign:cart" in log["tags"]


def test_the_samples_have_the_fields_of_real_lines(tmp_path):
    """So that a renamed field is found here."""
    logs = configure("json", path=tmp_path / "log", level="debug")
    LogSink(campaign="cart").emit(SETTLED)
    assert logs.close()
    real = process(PIPELINE, (tmp_path / "log").read_text().splitlines()[0])["custom"]
    sample = TESTS[0]["result"]["custom"]
    assert real.keys() - {"env"} <= sample.keys()
    assert sample.keys() - real.keys() <= {"service", "env", "version"}
