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
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import FrameType

import click

import dispatcher
from dispatcher.cli.demo_check import DemoEvidence, swallowed, verdict
from dispatcher.cli.exit_codes import Exit
from dispatcher.domain.status import FINAL
from dispatcher.ledgers.read.reader import LedgerReader

DATA = Path(dispatcher.__file__).parent / "data" / "demo"
"""The demo's settings, contacts and scenario, which are installed with the package."""

CAMPAIGN = "demo"
LET_IN = "abandoned"
"""The value of ``status`` that the demo's filter asks for."""
START_SECONDS = 20.0
STOP_SECONDS = 10.0

_ADDRESS = "http://127.0.0.1:8080"
_SECRETS = {
    "DISPATCHER_CLIENT_ID": "sandbox-client",
    "DISPATCHER_CLIENT_SECRET": "sandbox-secret",
}


@dataclass(frozen=True, slots=True)
class Files:
    """What the demo keeps in its folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """The settings of the run."""
        return self.folder / "dispatcher.toml"

    @property
    def contacts(self) -> Path:
        """The source."""
        return self.folder / "contacts.csv"

    @property
    def scenario(self) -> Path:
        """What the sandbox is like."""
        return self.folder / "scenario.toml"

    @property
    def ledger(self) -> Path:
        """The ledger."""
        return self.folder / "ledger.db"

    @property
    def log(self) -> Path:
        """The dispatcher's log."""
        return self.folder / "dispatcher.log"

    @property
    def effects(self) -> Path:
        """The sandbox's log of what took effect."""
        return self.folder / "effects.jsonl"

    def prepare(self) -> None:
        """Put the bundled files here, in place of what an earlier demo left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in (self.log, self.effects, *self.folder.glob("ledger.db*")):
            left.unlink(missing_ok=True)
        shutil.copyfile(DATA / "contacts.csv", self.contacts)
        shutil.copyfile(DATA / "scenario.toml", self.scenario)

    def configure(self, url: str) -> None:
        """Write the settings, with the places of this folder and the sandbox's address."""
        text = (DATA / "dispatcher.toml").read_text(encoding="utf-8")
        for old, new in (
            (_ADDRESS, url),
            ("contacts.csv", self.contacts.as_posix()),
            ("ledger.db", self.ledger.as_posix()),
            ("dispatcher.log", self.log.as_posix()),
        ):
            text = text.replace(f'"{old}"', json.dumps(new))
        self.config.write_text(text, encoding="utf-8")


def run_demo(folder: Path, *, progress: bool | None) -> int:
    """Run the demo; return its exit code."""
    files = Files(folder)
    try:
        files.prepare()
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be used: {error}") from error
    with _sandbox(files) as url:
        files.configure(url)
        click.echo(f"The sandbox serves at {url}. Sending to the contacts in {files.contacts} ...")
        code = _run(files, progress)
    if code != Exit.DONE:
        return code
    agreed, words = verdict(_story(files))
    click.echo(f"\n{words}\n{_next_steps(files)}")
    return Exit.DONE if agreed else Exit.BUG


@contextmanager
def _sandbox(files: Files) -> Iterator[str]:
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
        raise click.ClickException("the sandbox did not start; `dispatcher sandbox` tells why")
    return str(json.loads(line)["url"])


def _run(files: Files, progress: bool | None) -> int:  # noqa: FBT001 - an option with three states
    """Run the dispatcher as anybody would, with this terminal."""
    shown = [] if progress is None else ["--progress" if progress else "--no-progress"]
    command = _command("run", "--config", str(files.config), "--once", *shown)
    process = subprocess.Popen(command, env=_environment())  # noqa: S603 - our own command
    with _handing_on(process):
        return process.wait()


@contextmanager
def _handing_on(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Let signals be the run's: the terminal sends it Ctrl-C itself, a SIGTERM is handed on."""

    def hand_on(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _story(files: Files) -> DemoEvidence:
    """Read what both sides wrote down."""
    effects = map(json.loads, files.effects.read_bytes().splitlines())
    with LedgerReader(files.ledger, CAMPAIGN) as reader:
        settled = tuple(chain.from_iterable(reader.contacts(status) for status in FINAL))
        rejected = [row.line for row in reader.rejected()]
        nowhere = swallowed(_rows(files.contacts), settled, rejected)
        return DemoEvidence(tuple(effects), tuple(reader.lineage()), settled, nowhere)


def _rows(contacts: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that the demo's filter lets in; the bundled file has one row a line."""
    for number, line in enumerate(contacts.read_bytes().splitlines()[1:], start=2):
        fields = line.decode(errors="replace").split(",")
        if fields[-1] == LET_IN:
            yield number, fields[0]


def _command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "dispatcher", *arguments]


def _environment() -> Mapping[str, str]:
    """Return the environment without settings that are meant for a real run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DISPATCHER_", "DD_"))}
    return kept | _SECRETS


def _next_steps(files: Files) -> str:
    name = Path(sys.argv[0])
    command = str(name) if name.name == "dispatcher" else f"{sys.executable} -m dispatcher"
    return f"""
Where everything is:
  settings        {files.config}
  ledger          {files.ledger}
  lineage         the view lineage_row in the ledger (SQLite): which conversation continues which
  log             {files.log}
  sandbox's log   {files.effects}

What to look at next:
  {command} status --ledger {files.ledger}
  {command} run --help
  config/dispatcher.toml in the repository shows every setting
"""
