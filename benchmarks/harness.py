"""What every benchmark needs: a world, measured processes, medians, and results as JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from dispatcher.sandbox.contact_files import write_contacts
from tests.support.forked_process import ROOT, clean_environment
from tests.support.sandbox_process import SandboxProcess
from tests.support.scenario_runner import CREDENTIALS
from tests.support.servers.postgres import PASSWORD

PASSWORD_VARIABLE = "LEDGER_PASSWORD"
"""Has the password of a ledger's database."""
SECRETS = {PASSWORD_VARIABLE: PASSWORD}

RESULTS = ROOT / "var" / "benchmarks"

SETTINGS = """
[message]
text = "Hello {{first_name}}"
[platform]
base_url = "{url}"
requests_per_minute = 10000000
[ledger]
{ledger_keys}
[engine]
workers = {workers}
[telemetry]
statsd_port = {statsd_port}
log_format = "json"
log_file = "{log}"
"""
"""Everything on, but for the campaign and its source."""
CAMPAIGN = """
campaign = "bench"
[source]
path = "{contacts}"
"""


def write_config(folder: Path, name: str, **values: object) -> Path:
    """Write a configuration with everything on, and return its path."""
    path = folder / f"{name}.toml"
    given = {"ledger": folder / f"{name}.db", "log": folder / f"{name}.log", **values}
    url = given.pop("ledger_url", "")
    given["ledger_keys"] = (
        f'url = "{url}"\npassword_variable = "{PASSWORD_VARIABLE}"\n'
        f'state_file = "{folder / name}-state.json"'
        if url
        else f'path = "{given["ledger"]}"'
    )
    path.write_text((CAMPAIGN + SETTINGS).format(**given))
    return path


def contacts(folder: Path, name: str, count: int, seed: int) -> Path:
    """Write contacts, half with open and half with ended sessions."""
    path = folder / f"{name}.csv"
    write_contacts(path, count=count, shares={"active": 1, "ended": 1}, seed=seed)
    return path


def measured(
    script: str, *arguments: object, environment: Mapping[str, str] | None = None,
    root: Path = ROOT, cores: set[int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run a script of this folder in a process of its own and return what it prints.

    ``environment`` is added to its variables. ``root`` is a checkout whose script and packages are
    used. ``cores`` are those that the process may use; by default those of this one.
    """
    module = script.removesuffix(".py").replace("/", ".")
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**clean_environment(), **CREDENTIALS, "PYTHONPATH": os.pathsep.join(paths)}
    variables |= environment or {}
    with on_cores(cores):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=root, env=variables
        )
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def on_cores(cores: set[int] | None) -> Iterator[None]:
    """Let the processes that are started in the block use these cores alone."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def move_to_cores(process_id: int, cores: set[int], *, children: bool = True) -> None:
    """Let a process that runs, and what it starts, use these cores alone.

    Those that it has started already are moved, too, unless ``children`` is false.
    """
    process = psutil.Process(process_id)
    for one in (process, *(process.children(recursive=True) if children else ())):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            for thread in one.threads():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cores)


def as_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return the variables that set such settings as ``engine.workers``."""
    return {
        f"DISPATCHER__{key.upper().replace('.', '__')}": str(value)
        for key, value in settings.items()
    }


def cpu_share(sandbox: SandboxProcess, since: tuple[float, float]) -> float:
    """Return the share of one core that the sandbox took since a `mark`."""
    wall, cpu = mark(sandbox)
    return (cpu - since[1]) / (wall - since[0])


def mark(sandbox: SandboxProcess) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of the sandbox, now."""
    return time.perf_counter(), sandbox.counts()["cpu_seconds"]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def table(rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; the first row is its head."""
    head, *body = [[str(cell) for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def keep(name: str, result: Mapping[str, Any]) -> Path:
    """Write a benchmark's result with where it was measured; return the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    path.write_text(json.dumps({"machine": machine, **result}, indent=2) + "\n")
    return path


def kept(name: str) -> dict[str, Any] | None:
    """Return the last result of that name; None if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
