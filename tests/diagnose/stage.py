"""Plays a world: the sandbox, the command, and a socket in the place of the agent."""

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dispatcher.sandbox.contact_files import write_contacts
from dispatcher.sandbox.scenario.scenario import load
from tests.diagnose.capture import Agent, Capture, verdicts_of
from tests.diagnose.world import World
from tests.diagnose.world_servers import (
    TOPIC,
    LedgerServer,
    broker_with,
    ledger_server,
    small_disk,
)
from tests.support import forked_process, two_clients
from tests.support.forked_process import Forked, clean_environment
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.scenario_runner import CREDENTIALS
from tests.support.servers.kafka import Broker
from tests.support.servers.postgres import PASSWORD, PASSWORD_VARIABLE

CAMPAIGN = "play"
READ_SCOPES = ("conversations:messaging:read", "messaging:conversation:read")
WRITE_SCOPES = ("conversations:messaging:write", "messaging:conversation:write")
BASE = """
seed = 1
[rate]
allowed = 40
window_seconds = 2.0
[latency.default]
kind = "fixed"
ms = 20.0
"""
"""The platform of every world that has no other quota: 20 requests a second."""
SETTINGS: dict[str, Any] = {
    "message.text": "Hello {first_name}",
    "telemetry.log_level": "info",
    "platform.requests_per_minute": 1200,
    "platform.window_seconds": 2,
    "engine.workers": 16,
}
"""What the command gets besides its defaults."""
SINK = """
[[sinks]]
name = "warehouse"
kind = "sql"
url = "sqlite:///{folder}/share/lineage.db"
flush_seconds = 1
"""
"""A sink of the lineage: a database in a folder, which `SINK_FOLDER` makes."""
SINK_FOLDER = {"share/about.txt": "the database of a sink is here"}
_MB = 1024 * 1024
_PIECE = 4096
_END_SECONDS = 20.0
_NO_AGENT = 9


class Stage:
    """A world that is being played; every public method can be an action."""

    def __init__(
        self, world: World, folder: Path, running: SandboxProcess, agent: Agent,
        broker: Broker | None = None, server: LedgerServer | None = None,
    ) -> None:  # fmt: skip
        self._world = world
        self._folder = folder
        self._sandbox = running
        self._agent = agent
        self._broker = broker
        self._server = server
        self._others: list[Forked] = []
        self._second: Agent | None = None
        self._process: Forked | None = None
        self._exits: list[tuple[float, int]] = []
        self._notes: list[str] = []
        self._closing = contextlib.ExitStack()
        self._began = time.time()

    def play(self) -> Capture:
        """Play it to its end."""
        self._began = time.time()
        self.start()
        for action in sorted(self._world.actions, key=lambda action: action.at):
            self._wait_until(action.at)
            getattr(self, action.what)(**action.arguments)
        self._wait_until(self._world.seconds)
        ended = time.time() - self._began
        self._note_exit()
        self._end()
        for agent in self._agents():
            agent.close()
        return self._capture(ended)

    # what can happen

    def start(self, *more: str) -> None:
        """Start the command."""
        self._process = self._start(*more)

    def start_second(self) -> None:
        """Start another command with the same configuration, on a machine with its own agent."""
        self._second = self._second or Agent("second")
        settings = {"telemetry.statsd_port": self._second.port}
        self._others.append(self._start(log="second.log", **settings))

    def start_other(self) -> None:
        """Start a command of another campaign with the same client, whose metrics go elsewhere."""
        settings = {"telemetry.statsd_port": _NO_AGENT}
        self._others.append(self._start(log="other.log", campaign="other", **settings))

    def kill(self) -> None:
        """Kill the command as a lack of memory does."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Let the command drain."""
        self._signal(signal.SIGTERM)

    def command(self, name: str) -> None:
        """Give an operator's command to the run."""
        arguments = ["-m", "dispatcher", name, "--ledger", str(self._ledger)]
        arguments += ["--campaign", CAMPAIGN]
        done = forked_process.run(arguments, {**clean_environment(), **CREDENTIALS}, 20)
        if done.returncode:
            self._notes.append(f"{name}: {done.stderr.strip()}")

    def control(self, path: str, **body: Any) -> None:
        """Send a command to the sandbox's control API."""
        self._sandbox.post(path, **body)

    def stop_agent(self) -> None:
        """Let the agent die."""
        self._agent.stop()

    def start_agent(self) -> None:
        """Let the agent come back."""
        self._agent.start()

    def write(self, name: str, text: str) -> None:
        """Write a file of the world's folder; ``{sandbox}`` is nothing special in it."""
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def append(self, name: str, text: str) -> None:
        """Append to a file of the world's folder."""
        with (self._folder / name).open("a") as file:
            file.write(text)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self._folder / name).unlink()

    def move(self, name: str, to: str) -> None:
        """Rename a file."""
        (self._folder / name).rename(self._folder / to)

    def lock(self, name: str) -> None:
        """Lock a database of SQLite, as another program does that writes to it."""
        connection = sqlite3.connect(self._folder / name, check_same_thread=False)
        connection.execute("BEGIN EXCLUSIVE")
        self._closing.callback(connection.close)

    def server(self, do: str) -> None:
        """``kill`` the server of the ledger, or ``start`` it again."""
        assert self._server is not None
        getattr(self._server.cluster, do)()

    def broker(self, do: str) -> None:
        """``kill`` the broker, ``freeze`` it so that it answers nothing, or ``thaw`` it."""
        assert self._broker is not None
        getattr(self._broker, do)()

    def fill_disk(self, leave: float) -> None:
        """Fill the ledger's disk, but for so many megabytes."""
        free = shutil.disk_usage(self._ledger.parent).free
        pieces = max(0, int(free - leave * _MB)) // _PIECE + (not leave)
        filler = self._ledger.parent / "filler"
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for _ in range(pieces):
                file.write(b"x" * _PIECE)

    # the rest

    def _start(
        self, *more: str, log: str = "dispatcher.log", campaign: str = CAMPAIGN, **settings: Any
    ) -> Forked:
        environment = {**clean_environment(), **self._environment(), **self._world.environment}
        changes = {"telemetry.log_file": self._folder / log, **settings}
        command = self._command("run", campaign, changes)
        return Forked([*command, *self._world.arguments, *more], environment)

    @property
    def _ledger(self) -> Path:
        return self._folder / ("disk" if self._world.small_disk else ".") / "ledger.db"

    def _environment(self) -> dict[str, str]:
        credentials = two_clients.ENVIRONMENT if self._world.clients else CREDENTIALS
        return {**credentials, "DD_ENV": "diagnose", PASSWORD_VARIABLE: PASSWORD}

    def _command(self, name: str, campaign: str, changes: Mapping[str, Any]) -> list[str]:
        values = {
            **SETTINGS,
            "platform.base_url": self._sandbox.url,
            "telemetry.statsd_port": self._agent.port,
            **self._place(),
            **self._source(),
            **self._world.settings,
            **changes,
        }
        command = ["-m", "dispatcher", name, "--campaign", campaign]
        if text := self._config():
            config = self._folder / "dispatcher.toml"
            config.write_text(text)
            command += ["--config", str(config)]
        for key, value in values.items():
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["--set", f"{key}={shown.replace('{folder}', str(self._folder))}"]
        return command

    def _place(self) -> dict[str, Any]:
        """Where the ledger is."""
        if self._server is None:
            return {"ledger.path": self._ledger}
        return {
            "ledger.url": self._server.url,
            "ledger.password_variable": PASSWORD_VARIABLE,
            "control.socket": "off",
        }

    def _source(self) -> dict[str, Any]:
        if self._broker is None:
            return {"source.path": self._folder / "contacts.csv"}
        return {
            "source.kind": "kafka",
            "source.watch": True,
            "source.kafka.bootstrap_servers": self._broker.servers,
            "source.kafka.topic": TOPIC,
        }

    def _config(self) -> str:
        """The settings that are no single values."""
        names = (two_clients.NORTH, two_clients.SOUTH) if self._world.clients else ()
        clients = "".join(f'[[clients]]\nname = "{one}"\n' for one in names)
        return clients + self._world.config.replace("{folder}", str(self._folder))

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._note_exit()

    def _wait_until(self, seconds: float) -> None:
        while (left := self._began + seconds - time.time()) > 0:
            time.sleep(min(left, 0.2))
            self._note_exit()

    def _note_exit(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._exits.append((time.time() - self._began, self._process.returncode or 0))
            said = self._process.stderr.read().strip()
            if said and self._process.returncode not in (0, -signal.SIGKILL):
                self._notes.append(said[-500:])
            self._process.close()
            self._process = None

    def _end(self) -> None:
        self._closing.close()
        running = [*self._others, *([self._process] if self._process is not None else [])]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_END_SECONDS)
            process.close()

    def _agents(self) -> list[Agent]:
        return [self._agent, *([self._second] if self._second is not None else [])]

    def _capture(self, ended: float) -> Capture:
        agent, began = self._agent, self._began
        texts = sorted(pair for one in self._agents() for pair in one.texts())
        return Capture(
            self._world.name,
            ended,
            [(t - began, text) for t, text in texts if t - began <= ended],
            [(begin - began, end - began) for begin, end in agent.deaths],
            [
                pair
                for pair in verdicts_of(self._folder / "dispatcher.log", began)
                if pair[0] <= ended
            ],
            self._exits,
            self._notes,
        )


def play(world: World, folder: Path) -> Capture:
    """Play a world in a folder of its own, and return what it leaves."""
    folder.mkdir(parents=True)
    scenario = folder / "scenario.toml"
    scenario.write_text(world.scenario or BASE)
    shares = dict(load(scenario).world.shares)
    write_contacts(folder / "contacts.csv", count=world.contacts, shares=shares)
    for name, text in world.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with (
        small_disk(folder / "disk", world.small_disk),
        sandbox(scenario, folder / "effects.jsonl") as running,
        broker_with(world.messages) as broker,
        ledger_server(world.server) as server,
    ):
        agent = Agent()
        stage = Stage(world, folder, running, agent, broker, server)
        try:
            return stage.play()
        finally:
            stage._end()
