"""``dispatcher demo``: the real run against a local sandbox, and a check of the result."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TypeVar

import click

from dispatcher.app.store import operator_store, pages
from dispatcher.cli.bundled_files import DATA
from dispatcher.cli.demo_check import DemoEvidence, compare, find_swallowed
from dispatcher.cli.options import debug_option, progress_option
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.status import FINAL
from dispatcher.ports import OperatorStore
from dispatcher.ports.questions import ContactRows, LineageRows, PagedRows, RejectedRows
from dispatcher.settings import LedgerPlace

R = TypeVar("R")

DEMO = DATA / "demo"
"""The demo's settings, contacts and scenario, which are installed with the package."""

CAMPAIGN = "demo"
FILTERED_STATUS = "abandoned"
"""The value of the column ``status`` that the demo's filter accepts."""

START_SECONDS = 20.0
STOP_SECONDS = 10.0

_BUNDLED_URL = "http://127.0.0.1:8080"
_SECRETS = {
    "DISPATCHER_CLIENT_ID": "sandbox-client",
    "DISPATCHER_CLIENT_SECRET": "sandbox-secret",
}


class DemoFolder:
    """The files that the demo keeps in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "dispatcher.toml"
        self.contacts = folder / "contacts.csv"
        self.scenario = folder / "scenario.toml"
        self.ledger = folder / "ledger.db"
        self.log = folder / "dispatcher.log"
        self.effects = folder / "effects.jsonl"

    def prepare(self) -> None:
        """Copy the bundled files here, and remove what an earlier demo left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in (self.log, self.effects, *self.folder.glob("ledger.db*")):
            old.unlink(missing_ok=True)
        shutil.copyfile(DEMO / "contacts.csv", self.contacts)
        shutil.copyfile(DEMO / "scenario.toml", self.scenario)

    def configure(self, url: str) -> None:
        """Write the settings, with the paths of this folder and the sandbox's address."""
        text = (DEMO / "dispatcher.toml").read_text(encoding="utf-8")
        for old, new in (
            (_BUNDLED_URL, url),
            ("contacts.csv", self.contacts.as_posix()),
            ("ledger.db", self.ledger.as_posix()),
            ("dispatcher.log", self.log.as_posix()),
        ):
            text = text.replace(f'"{old}"', json.dumps(new))
        self.config.write_text(text, encoding="utf-8")


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help=(
        "The folder for the ledger, log and contacts of the demo; an earlier demo in it is "
        "replaced."
    ),
)
@progress_option
@debug_option
def demo(*, folder: Path, progress: bool | None) -> int:
    """Send 2,000 contacts through a local sandbox, and check the result against its log.

    No request leaves this machine. The sandbox is a separate process that simulates the platform:
    sessions that are open, closed, ended or deleted, refusals of all kinds, and a rate limit.
    Afterwards the sandbox's log of messages is compared with the ledger, contact by contact.
    """
    files = DemoFolder(folder)
    try:
        files.prepare()
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be used: {error}") from error
    with _sandbox(files) as url:
        files.configure(url)
        click.echo(f"The sandbox is ready at {url}. Sending to {files.contacts} ...")
        code = _run(files, progress=progress)
    if code != ExitCode.DONE:
        return code
    agree, report = compare(_read_evidence(files))
    click.echo(f"\n{report}\n{_next_steps(files)}")
    return ExitCode.DONE if agree else ExitCode.BUG


@contextmanager
def _sandbox(files: DemoFolder) -> Iterator[str]:
    """Serve the sandbox in a process of its own while the block runs; yield its address.

    It leads a session of its own, so that Ctrl-C at the terminal stops the run and not it.
    """
    command = _command(
        "sandbox", "--ready-json", "--port", "0",
        "--scenario", str(files.scenario), "--log", str(files.effects),
    )  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own command
    try:
        yield _address(process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: "subprocess.Popen[bytes]") -> str:
    """Wait for the sandbox's ready line."""
    line = b""
    with selectors.DefaultSelector() as selector:
        if process.stdout is not None:
            selector.register(process.stdout, selectors.EVENT_READ)
            if selector.select(START_SECONDS):
                line = process.stdout.readline()
    if not line:
        raise click.ClickException("the sandbox did not start; `dispatcher sandbox` shows why")
    return str(json.loads(line)["url"])


def _run(files: DemoFolder, *, progress: bool | None) -> int:
    """Run the dispatcher as a user does, with this terminal."""
    shown = [] if progress is None else ["--progress" if progress else "--no-progress"]
    command = _command("run", "--config", str(files.config), "--once", *shown)
    process = subprocess.Popen(command, env=_environment())  # noqa: S603 - our own command
    with _forward_signals(process):
        return process.wait()


@contextmanager
def _forward_signals(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Leave signals to the run: the terminal sends it Ctrl-C, and a SIGTERM is forwarded to it."""

    def forward(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_evidence(files: DemoFolder) -> DemoEvidence:
    """Read the sandbox's log and the ledger."""
    effects = map(json.loads, files.effects.read_bytes().splitlines())
    with operator_store(LedgerPlace.of_file(files.ledger)) as store:
        settled = tuple(
            row for status in FINAL for row in _all_rows(store, ContactRows(CAMPAIGN, status))
        )
        rejected = [row.line for row in _all_rows(store, RejectedRows(CAMPAIGN))]
        swallowed = find_swallowed(_rows(files.contacts), settled, rejected)
        lineage = tuple(_all_rows(store, LineageRows(CAMPAIGN)))
    return DemoEvidence(tuple(effects), lineage, settled, swallowed)


def _all_rows(store: OperatorStore, rows: PagedRows[R]) -> Iterator[R]:
    return chain.from_iterable(page.rows for page in pages(store, rows))


def _rows(contacts: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that the demo's filter accepts; the bundled file has one row a line."""
    for number, line in enumerate(contacts.read_bytes().splitlines()[1:], start=2):
        fields = line.decode(errors="replace").split(",")
        if fields[-1] == FILTERED_STATUS:
            yield number, fields[0]


def _command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "dispatcher", *arguments]


def _environment() -> Mapping[str, str]:
    """Return the environment without settings that are meant for a real run."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("DISPATCHER_", "DD_", "OTEL_"))
    }
    return kept | _SECRETS


def _next_steps(files: DemoFolder) -> str:
    name = Path(sys.argv[0])
    command = str(name) if name.name == "dispatcher" else f"{sys.executable} -m dispatcher"
    return f"""
Files:
  settings        {files.config}
  ledger          {files.ledger}
  lineage         the view lineage_row in the ledger (SQLite): which conversation continues which
  log             {files.log}
  sandbox's log   {files.effects}

Next:
  {command} status --ledger {files.ledger}
  {command} run --help
  {command} init FOLDER     write a first configuration for a campaign of your own
"""
