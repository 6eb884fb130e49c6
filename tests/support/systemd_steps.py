"""Starts systemd in namespaces of its own, and lets it run the unit of deploy/systemd as it is.

``python -m tests.support.systemd_steps`` (``make systemd-check``) needs Linux, root and systemd.
The root file system is that of `container_steps`: the steps of the Containerfile in an overlay. It
shows that the run works with everything that the unit forbids, that it has its credentials from
LoadCredential, that systemd knows when it is ready and shows its counts, that the watchdog ends a
run that is stuck and starts it again, and that a stop drains.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.container_steps import (
    CONFIG,
    HOME,
    ROOT,
    SECRETS,
    Build,
    Stage,
    expect,
    mount,
    say,
    wait_for,
)

UNIT = ROOT / "deploy" / "systemd" / "dispatcher.service"
WATCHDOG = "WatchdogSec=3"
TARGET = "[Unit]\nDefaultDependencies=no\nWants=dispatcher.service\n"
START = (
    "exec env container=other /lib/systemd/systemd --system --unit=try.target"
    " --log-target=console > /console 2>&1 < /dev/null"
)


class Booted:
    """A root file system with systemd as PID 1."""

    def __init__(self, image: Stage) -> None:
        self.root = image.root
        self.environment = {**image.env, **SECRETS, "HOME": HOME}

    def prepare(self, url: str) -> None:
        """Write the unit, its user's files, and what systemd itself needs."""
        units = self.root / "etc/systemd/system"
        shutil.rmtree(units, ignore_errors=True)
        units.mkdir(parents=True)
        text = UNIT.read_text().replace("WatchdogSec=30", WATCHDOG)
        expect(WATCHDOG in text, "the unit has a watchdog; here it is that of 3 seconds")
        text = text.replace("RestartSec=10", "RestartSec=1")
        text = text.replace("[Service]", "DefaultDependencies=no\n[Service]")
        if Path(sys.base_prefix).parts[1] in ("root", "home"):
            say("This machine has its Python in a home: ProtectHome=read-only instead of yes.")
            text = text.replace("ProtectHome=yes", "ProtectHome=read-only")
        (units / "dispatcher.service").write_text(text)
        (units / "try.target").write_text(TARGET)
        folder = self.root / "etc/dispatcher"
        folder.mkdir()
        (folder / "dispatcher.toml").write_text(CONFIG % url)
        for name, value in (("client-id", 0), ("client-secret", 1)):
            (folder / name).write_text([*SECRETS.values()][value])
            (folder / name).chmod(0o400)
        for kind, place in (("tmpfs", "run"), ("tmpfs", "tmp")):
            mount("-t", kind, "none", self.root / place)
        mount("--rbind", "/sys", self.root / "sys")
        mount("--make-rshared", self.root)

    @contextlib.contextmanager
    def boot(self) -> Iterator[None]:
        """Run systemd until the block ends."""
        line = ["unshare", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
        line += ["--mount", "--propagation", "unchanged"]
        inner = f"mount -t proc none {self.root}/proc; exec chroot {self.root} /bin/sh -c '{START}'"
        with subprocess.Popen([*line, "/bin/sh", "-c", inner]) as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_for(lambda: children.read_text().strip(), 5)
            self.init = int(children.read_text().split()[0])
            try:
                yield
            finally:
                os.kill(self.init, signal.SIGKILL)

    def execute(self, *words: str) -> str:
        """Execute a command beside systemd, and return its output."""
        enter = ["nsenter", f"--target={self.init}", "--all", f"--root=/proc/{self.init}/root"]
        done = subprocess.run(
            [*enter, *words], env=self.environment, text=True, capture_output=True, check=False
        )
        return done.stdout + done.stderr

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.execute(
            "systemctl", "show", "--value", f"--property={name}", "dispatcher"
        ).strip()


def use(booted: Booted) -> None:
    """Look at the unit as an operator does."""
    ready = wait_for(lambda: booted.show("ActiveState") == "active", 40)
    if not ready:
        say((booted.root / "console").read_text()[-3000:])
        say(booted.execute("systemctl", "status", "--no-pager", "-l", "dispatcher"))
        say(booted.execute("journalctl", "--no-pager", "-n", "40"))
    expect(ready, "systemd has the run as ready")
    counted = wait_for(lambda: "notified" in booted.show("StatusText"), 40)
    expect(counted, f"its status line: {booted.show('StatusText')}")
    first = booted.show("MainPID")
    listed = booted.execute("ls", "-l", "/run/credentials/dispatcher.service")
    expect("client-secret" in listed, "its credentials are those of LoadCredential")
    status = booted.execute("cat", f"/proc/{first}/status")
    for line in ("Seccomp:\t2", "NoNewPrivs:\t1", "CapBnd:\t0000000000000000"):
        expect(line in status, f"it runs with {line.split()}")
    booted.execute("kill", "-STOP", first)
    again = wait_for(lambda: booted.show("MainPID") not in ("0", first), 30)
    expect(again, f"the watchdog ends a run that is stuck ({booted.show('NRestarts')} restart)")
    ready = wait_for(lambda: booted.show("ActiveState") == "active", 40)
    expect(ready, "and systemd starts it again")
    booted.execute("systemctl", "stop", "dispatcher")
    expect(booted.show("Result") == "success", "a stop drains")
    expect(booted.show("ExecMainStatus") == "0", "with exit code 0")


def play(folder: Path, wheels: Path) -> None:
    """Build the root file system, and let systemd run the unit in it."""
    mount("-t", "tmpfs", "-o", "size=2g", "none", folder)
    wheels.mkdir(parents=True, exist_ok=True)
    image = Build(folder, wheels).execute()
    environment = {**image.env, "HOME": HOME}
    subprocess.run(
        image.inside(["dispatcher", "sandbox", "contacts", "--out", "contacts.csv"]),
        env=environment, check=True,
    )  # fmt: skip
    sandbox = image.inside(["dispatcher", "sandbox", "--scenario", "plain", "--ready-json"])
    with subprocess.Popen(
        [*sandbox, "--port", "0", "--log", "/tmp/effects.jsonl"], env=environment,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            booted = Booted(image)
            booted.prepare(json.loads(process.stdout.readline())["url"])
            with booted.boot():
                use(booted)
        finally:
            process.terminate()
    say("systemd itself has run deploy/systemd/dispatcher.service.")


def main() -> None:
    """Enter a namespace for mounts, and play there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheels", type=Path, default=ROOT / "var" / "wheels")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        line = ["unshare", "--mount", "--propagation", "private", sys.executable]
        line += ["-m", "tests.support.systemd_steps", "--inside", "--wheels", options.wheels]
        raise SystemExit(subprocess.run(line, cwd=ROOT, check=False).returncode)
    with tempfile.TemporaryDirectory() as folder:
        try:
            play(Path(folder), options.wheels.resolve())
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", folder], check=False)


if __name__ == "__main__":
    main()
