"""The rows of the comparison: what is run in each, and with which settings."""

import csv
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.harness import as_environment, measured, write_config
from benchmarks.worlds import World
from dispatcher.settings import SettingsError, load
from tests.support.dialects import settings_for
from tests.support.forked_process import clean_environment
from tests.support.scenario_runner import CREDENTIALS

WORKERS = 64
THREADS = 16


@dataclass(frozen=True)
class Job:
    """One run of an alternative: the contacts of a world against a sandbox."""

    world: World
    dialect: str
    contacts: Path
    url: str
    statsd_port: int

    def conversations(self) -> list[str]:
        """Return the conversation ids of the contacts."""
        with self.contacts.open(newline="") as lines:
            return [row["conversation_id"] for row in csv.DictReader(lines)]


class Alternative(Protocol):
    """One row of the table."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    @property
    def dialects(self) -> tuple[str, ...]:
        """The dialects in which it is compared."""
        ...

    def why_skipped(self, job: Job) -> str:
        """Return why it cannot be run here; empty if it can."""
        ...

    def run(self, job: Job) -> dict[str, Any]:
        """Send to all contacts; return ``seconds``, ``cpu_seconds`` and ``contacts``."""
        ...


@dataclass(frozen=True)
class Script:
    """A script of this folder that takes an address, a file and ``more``."""

    name: str
    script: str
    more: tuple[object, ...] = ()
    needs: str = ""
    """A package that it needs."""
    dialects: tuple[str, ...] = ("messaging",)

    def why_skipped(self, _job: Job) -> str:
        """Say which package is missing."""
        if self.needs and importlib.util.find_spec(self.needs) is None:
            return f"the package {self.needs} is not installed; requirements/bench.txt has it"
        return ""

    def run(self, job: Job) -> dict[str, Any]:
        """Run the script in a process of its own."""
        dialect = (job.dialect,) if len(self.dialects) > 1 else ()
        return measured(self.script, job.url, job.contacts, *self.more, *dialect)


@dataclass(frozen=True)
class Dispatcher:
    """The whole dispatcher with everything on, and with ``settings``."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    dialects: tuple[str, ...] = ("messaging", "genesys")

    def why_skipped(self, job: Job) -> str:
        """Say which of its own settings this version does not have."""
        config = self._config(job)
        _load(config, {**self._all(job), **dict.fromkeys(self.settings)})
        try:
            _load(config, self._all(job))
        except SettingsError as error:
            keys = ", ".join(mistake.key for mistake in error.mistakes)
            return f"this version does not know its values of {keys}"
        return ""

    def run(self, job: Job) -> dict[str, Any]:
        """Run ``dispatcher run --once``, but for the start of the interpreter and the imports."""
        environment = as_environment(self._all(job))
        return measured("whole.py", self._config(job), environment=environment)

    def _config(self, job: Job) -> Path:
        folder = job.contacts.parent
        return write_config(
            folder, "dispatcher", contacts=job.contacts, url=job.url, workers=WORKERS,
            statsd_port=job.statsd_port,
        )  # fmt: skip

    def _all(self, job: Job) -> dict[str, object]:
        return {**settings_for(job.dialect, job.url), **job.world.settings, **self.settings}


def _load(config: Path, settings: Mapping[str, object]) -> None:
    """Check settings as a run would; those that are None are left out."""
    sets = [f"{key}={value}" for key, value in settings.items() if value is not None]
    load(config, env={**clean_environment(), **CREDENTIALS}, sets=sets)


BARE = Script("bare loop", "bare.py", (WORKERS,), dialects=("messaging", "genesys"))
RETRIES = Script("retry script", "alternatives/retry_script.py")
HTTPX = Script("httpx loop", "alternatives/httpx_loop.py", (WORKERS, "messaging"), needs="httpx")
SDK = Script("official SDK", "alternatives/official_sdk.py", (THREADS,), dialects=("genesys",))
SDK_CONNECTED = Script(
    "official SDK, 16 connections", SDK.script, (THREADS, THREADS), dialects=("genesys",)
)
ALONE = Dispatcher("dispatcher")
SHARED = Dispatcher("dispatcher, shared checks", {"platform.states_per_call": "auto"})
LEARNING = Dispatcher(
    "dispatcher, learn",
    {
        "platform.states_per_call": "auto",
        "platform.first_call": "learn",
        "source.alike_columns": '["session_status"]',
    },
    dialects=("messaging",),
)
OURS = frozenset({ALONE.name, SHARED.name, LEARNING.name})
"""The names of the dispatcher's rows."""
ALTERNATIVES: tuple[Alternative, ...] = (
    BARE, HTTPX, RETRIES, SDK, SDK_CONNECTED, ALONE, SHARED, LEARNING,
)  # fmt: skip
