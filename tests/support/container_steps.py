"""Executes the steps of a Containerfile without a container engine, and uses what they made.

``python -m tests.support.container_steps`` (``make container-check``) needs Linux and root. It
cannot execute ``FROM``: the system and the Python of this machine take the place of the image. Each
stage is an overlay over them, in which COPY and RUN are executed as they are written. Then the
command of the image runs as a container would run it: with the user of the image, without
capabilities, as PID 1, on a root file system that is read-only. It has to be healthy, to send, to
write nowhere else, and to drain on SIGTERM, also on one that comes before its imports are done.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
MOMENTS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds after the start at which a SIGTERM comes."""
HOME = "/var/lib/dispatcher"
CONFIG = """campaign = "container"
[message]
text = "Hello {first_name|there}"
[source]
path = "contacts.csv"
[platform]
base_url = "%s"
"""
SECRETS = {
    "DISPATCHER_CLIENT_ID": "sandbox-client",
    "DISPATCHER_CLIENT_SECRET": "sandbox-secret",
}


@dataclass
class Stage:
    """One stage: its root and what its instructions have set."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    texts: dict[str, str] = field(default_factory=dict)

    def command(self, name: str) -> list[str]:
        """Return the words of ENTRYPOINT, CMD or HEALTHCHECK."""
        words: list[str] = json.loads(self.texts[name][self.texts[name].index("[") :])
        return words

    def inside(self, words: Sequence[str], *, init: bool = False) -> list[str]:
        """Return what executes a command in it, as its user and without capabilities."""
        user, _, group = self.user.partition(":")
        rights = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        rights += ["--bounding-set=-all", "--inh-caps=-all"]
        enter = ["unshare", f"--root={self.root}", f"--wd={self.folder}"]
        enter += ["--pid", "--fork"] if init else []
        return [*enter, "setpriv", *rights, "--", *words]


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Containerfile, each with its text in one line."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


class Build:
    """The stages of a Containerfile, each in a folder of its own."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder, self.wheels = folder, wheels
        self.stages: dict[str, Stage] = {}
        self.context = folder / "context"
        self._copy_context()

    def _copy_context(self) -> None:
        """Copy what git has and the ignore file permits."""
        permitted = re.findall(
            r"^!(\S+)", Path(f"{CONTAINERFILE}.dockerignore").read_text(), re.MULTILINE
        )
        names = subprocess.check_output(["git", "ls-files", "-z", *permitted], cwd=ROOT, text=True)
        for name in filter(None, names.split("\0")):
            target = self.context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)

    def execute(self) -> Stage:
        """Execute all instructions, and return the last stage."""
        stage = Stage(Path("/"))
        for word, text in instructions(CONTAINERFILE.read_text()):
            say(f"{word} {text}"[:100])
            match word:
                case "FROM":
                    stage = self._begin(text)
                case "RUN":
                    self._run(stage, text)
                case "COPY":
                    self._copy(stage, shlex.split(text))
                case "ENV" | "ARG":
                    for one in shlex.split(text):
                        name, _, value = one.partition("=")
                        stage.env[name] = Template(value).safe_substitute(stage.env)
                case "WORKDIR":
                    (stage.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
                    stage.folder = text
                case "USER":
                    stage.user = text
                case _:
                    stage.texts[word] = text
        return stage

    def _begin(self, text: str) -> Stage:
        name = text.split(" AS ")[1] if " AS " in text else "last"
        upper, work, root = (self.folder / name / part for part in ("upper", "work", "root"))
        for path in (upper, work, root):
            path.mkdir(parents=True)
        mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "none", root)
        mount("-t", "proc", "none", root / "proc")
        mount("--rbind", "/dev", root / "dev")
        make_readable(root, Path(sys.base_prefix))
        (root / "wheels-there").mkdir()
        mount("--bind", self.wheels, root / "wheels-there")
        path = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        stage = self.stages[name] = Stage(root, {"PATH": path})
        return stage

    def _run(self, stage: Stage, text: str) -> None:
        index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        links = f"{index.get('PIP_FIND_LINKS', '')} /wheels-there".strip()
        subprocess.run(
            ["chroot", stage.root, "/bin/sh", "-ec", f"cd {stage.folder}\n{text}"],
            env={"HOME": "/root", **index, "PIP_FIND_LINKS": links, **stage.env}, check=True,
        )  # fmt: skip

    def _copy(self, stage: Stage, words: list[str]) -> None:
        origin = self.context
        if words[0].startswith("--from="):
            origin = self.stages[words.pop(0).partition("=")[2]].root
        target = Path(os.path.normpath(f"{stage.root}{Path(stage.folder) / words[-1]}"))
        for name in words[:-1]:
            source = origin / name.lstrip("/")
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)


def make_readable(root: Path, place: Path) -> None:
    """Let every user enter the folder of this machine's Python, in the overlay alone."""
    for folder in [*place.parents, place]:
        path = root / str(folder).lstrip("/")
        path.chmod(path.stat().st_mode | 0o055)


def mount(*words: object) -> None:
    """Mount something, in the namespace of this process alone."""
    subprocess.run(["mount", *map(str, words)], check=True)


@dataclass
class Machine:
    """What an engine would do with the image: a read-only root, and few places to write."""

    image: Stage
    volume: Path
    config: Path

    def prepare(self) -> None:
        """Mount the places, then make everything else read-only."""
        user = self.image.user.split(":")[0]
        for path in ("/run/dispatcher", "/etc/dispatcher", HOME):
            (self.image.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path in ("/tmp", "/run/dispatcher"):
            options = "mode=1777" if path == "/tmp" else f"uid={user},gid={user},mode=0700"
            mount("-t", "tmpfs", "-o", options, "none", self.image.root / path.lstrip("/"))
        os.chown(self.volume, int(user), int(user))
        mount("--bind", self.volume, self.image.root / HOME.lstrip("/"))
        mount("--bind", self.config, self.image.root / "etc/dispatcher")
        mount("-o", "remount,bind,ro", self.image.root / "etc/dispatcher")
        mount("-o", "remount,ro", self.image.root)

    def execute(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Execute a command in the container, as ``docker exec`` does."""
        return subprocess.run(
            self.image.inside(words), env=self.environment(), text=True, capture_output=True,
            check=False,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Return the variables of the container."""
        return {**self.image.env, **SECRETS, "HOME": HOME}

    @contextlib.contextmanager
    def start(self, *words: str) -> Iterator["subprocess.Popen[str]"]:
        """Start the entrypoint as PID 1 with these arguments, or with those of the image."""
        line = [*self.image.command("ENTRYPOINT"), *(words or self.image.command("CMD"))]
        with subprocess.Popen(
            self.image.inside(line, init=True), env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                if process.poll() is None:  # PID 1 takes all others with it
                    os.kill(first_process(process), signal.SIGKILL)


def first_process(process: "subprocess.Popen[str]") -> int:
    """Return the process that is PID 1 in the namespace, as this namespace numbers it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while True:
        for pid in children.read_text().split():
            with contextlib.suppress(OSError):
                program = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
                if Path(program.decode()).name not in ("", "unshare", "setpriv"):
                    return int(pid)
        if process.poll() is not None:
            raise SystemExit(f"it ended at once: {process.stdout.read()}")
        time.sleep(0.001)


def expect(truth: object, what: str) -> None:
    """Report what is so, or end."""
    if not truth:
        raise SystemExit(f"FAILED: {what}")
    say(f"ok: {what}")


def use(machine: Machine) -> None:
    """Run the image's command, and look at it as an engine and an operator do."""
    image = machine.image
    expect(machine.execute("id", "-u").stdout.strip() == image.user.split(":")[0], "no root")
    written = machine.execute("touch", "/opt/dispatcher/x", "/etc/x", "/x").stderr
    expect(written.count("Read-only file system") == 3, "the root file system is read-only")
    where = machine.execute("python", "-c", "import dispatcher; print(dispatcher.__file__)")
    expect(where.stdout.startswith("/opt/dispatcher/"), f"installed in {where.stdout.strip()}")
    with machine.start() as process:
        pid = first_process(process)
        status = Path(f"/proc/{pid}/status").read_text()
        expect(f"NSpid:\t{pid}\t1\n" in status, "it is PID 1")
        expect("CapBnd:\t0000000000000000\n" in status, "it has no capabilities")
        healthy = wait_for(lambda: machine.execute(*image.command("HEALTHCHECK")).returncode == 0)
        expect(healthy, "the health check succeeds")
        sent = wait_for(lambda: "opened" in machine.execute(*STATUS).stdout)
        expect(sent, "it has sent")
        begun = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=40)
        took = time.monotonic() - begun
        expect(process.returncode == 0 and "drained" in output, f"SIGTERM drains in {took:.1f} s")
    for moment in MOMENTS:
        with machine.start() as process:
            pid = first_process(process)
            time.sleep(moment)
            os.kill(pid, signal.SIGTERM)
            output, _ = process.communicate(timeout=40)
            ended = output.strip().splitlines()[-1] if output.strip() else "no output"
            expect(process.returncode == 0, f"SIGTERM {moment * 1000:.0f} ms after exec: {ended}")


STATUS = ("dispatcher", "status", "--config", "/etc/dispatcher/dispatcher.toml")


def wait_for(condition: "object", seconds: float = 60.0) -> bool:
    """Return True when the condition is true, False if it is not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.2)
    return False


@contextlib.contextmanager
def sandbox(machine: Machine) -> Iterator[str]:
    """Run the sandbox of the image; return its URL."""
    line = machine.image.inside(["dispatcher", "sandbox", "--scenario", "plain", "--ready-json"])
    with subprocess.Popen(
        [*line, "--port", "0", "--log", f"{HOME}/effects.jsonl"], env=machine.environment(),
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def play(folder: Path, wheels: Path) -> None:
    """Build the image and use it."""
    mount("-t", "tmpfs", "-o", "size=2g", "none", folder)
    wheels.mkdir(parents=True, exist_ok=True)
    image = Build(folder, wheels).execute()
    machine = Machine(image, folder / "volume", folder / "config")
    machine.volume.mkdir()
    machine.config.mkdir()
    machine.prepare()
    made = machine.execute("dispatcher", "sandbox", "contacts", "--out", f"{HOME}/contacts.csv")
    expect(made.returncode == 0, f"it writes to its volume {made.stderr}".strip())
    with sandbox(machine) as url:
        (machine.config / "dispatcher.toml").write_text(CONFIG % url)
        use(machine)
    say("The steps of deploy/Containerfile were executed without a container engine.")


def say(text: str) -> None:
    """Write a line for the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Enter a namespace for mounts, and play there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheels", type=Path, default=ROOT / "var" / "wheels")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("the steps need root, to mount and to change the user")
    if not options.inside:
        line = ["unshare", "--mount", "--propagation", "private", sys.executable]
        line += ["-m", "tests.support.container_steps", "--inside", "--wheels", options.wheels]
        raise SystemExit(subprocess.run(line, cwd=ROOT, check=False).returncode)
    with tempfile.TemporaryDirectory() as folder:
        try:
            play(Path(folder), options.wheels.resolve())
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", folder], check=False)


if __name__ == "__main__":
    main()
