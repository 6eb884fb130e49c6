"""What all suites share."""

import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.distribution import Distribution
from tests.support.ledgers import forget_ledgers
from tests.support.memory_folder import use_memory
from tests.support.servers.shared import (  # noqa: F401 - fixtures of all suites
    address,
    kafka_server,
    ledger_databases,
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
"""Thresholds of the garbage collector, which finds little in tests.

A run has its own: `dispatcher/app/garbage_collection.py`.
"""


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
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    """Forget the ledgers of a test: its folder is removed, and the next one may have its name."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if folder is not None:
        forget_ledgers(folder)


@pytest.fixture
def short_path():
    """A folder whose path is short enough for a Unix socket in it, unlike that of ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="d-") as name:
        yield Path(name)


class _Rotated(pytest.Dir):
    """A folder whose modules each worker takes from another one on.

    In a new checkout each module is compiled by the worker that comes to it first; all others find
    it done. Otherwise all of them would compile the same one at the same time.
    """

    def collect(self):
        worker = self.config.workerinput
        found = list(super().collect())
        first = len(found) * int(worker["workerid"][2:]) // worker["workercount"]
        return found[first:] + found[:first]


class _Workers:
    """What only workers do."""

    def pytest_collect_directory(self, path, parent):
        return _Rotated.from_parent(parent, path=path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items):
        """Put groups first, for they are the longest, and restore the order of the rest."""
        items.sort(key=lambda item: (not item.get_closest_marker("xdist_group"), item.path.parts))


def pytest_configure(config):
    _take_interrupts()
    use_memory()
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(_Workers())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Distribute as `Distribution` says, in the order of the items."""
    if config.getoption("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False
    return Distribution(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Fail if groups are asked for and have no effect: each worker would start all servers."""
    if config.getoption("loadgroup", default=False):
        marked = [item for item in items if item.get_closest_marker("xdist_group")]
        assert all("@" in item.nodeid for item in marked), "pytest-xdist passes over groups"


def _take_interrupts():
    """Take interrupts, which programs that start others in the background tell them to ignore.

    Tests send them to this process and to its children, which would ignore them, too.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
