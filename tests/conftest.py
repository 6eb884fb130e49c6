"""What all suites share."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers.shared import (  # noqa: F401 - fixtures of all suites
    kafka_server,
    postgres_server,
    s3_server,
    snowflake_server,
)

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))
"""Examples of a property without a number of its own; `make properties` plays more."""

settings.register_profile(
    "no time limits",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("no time limits")
"""How long an example takes depends on what else the machine does, and proves nothing."""

COLLECT_AFTER = (50_000, 20, 100)
"""Thresholds of the garbage collection: those of a run, see `dispatcher/app/run.py`."""


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect the tests without garbage collections, and leave what they are out of later ones.

    Thousands of tests and all modules stay to the end; a full collection over them takes as long as
    many tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Fail if groups are asked for and have no effect: each worker would start all servers."""
    if config.getoption("loadgroup", default=False):
        marked = [item for item in items if item.get_closest_marker("xdist_group")]
        assert all("@" in item.nodeid for item in marked), "pytest-xdist passes over groups"
