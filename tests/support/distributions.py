"""Builds the wheel and the source distribution, and shows that they are complete and reproducible.

``python -m tests.support.distributions FOLDER`` builds both (``make dist``). With ``--check`` it
builds them again from another copy with other times and modes, compares, builds the wheel from the
source distribution, and installs the wheel into an empty environment, in which a run sends to
everyone of a first configuration (``make wheel-check``). Packages that pip needs are kept in
``--cache``; if all are there, pip reads no index.

Every file has the time of ``SOURCE_DATE_EPOCH``, which is that of the last commit by default.
"""

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ("LICENSE", "README.md", "dispatcher", "pyproject.toml")
"""What the distributions are made of."""
REQUIREMENTS = ROOT / "requirements" / "base.txt"


def source_date() -> int:
    """Return the time that every file of the distributions gets, in seconds since the epoch."""
    if date := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(date)
    return int(_output("git", "log", "-1", "--format=%ct"))


def tracked_files() -> list[str]:
    """Return the files that git has of `INPUTS`; a symbolic link among them is an error."""
    files = []
    for line in _output("git", "ls-files", "--stage", "-z", *INPUTS).split("\0"):
        if line:
            about, _, name = line.partition("\t")
            if about.startswith("120000"):
                raise SystemExit(f"{name} is a symbolic link; a wheel cannot have one")
            files.append(name)
    return files


def copy_source(target: Path, *, mode: int = 0o644) -> None:
    """Copy what git has, without what earlier builds left behind."""
    for name in tracked_files():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, path)
        path.chmod(mode)


def build(source: Path, kind: str, target: Path, date: int) -> Path:
    """Build one distribution, ``wheel`` or ``sdist``, and make it independent of time and modes."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(date), "PYTHONHASHSEED": "0"}
    program = (
        f"import sys; from setuptools.build_meta import build_{kind}; "
        f"name = build_{kind}(sys.argv[1]); print('built', name)"
    )
    target.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", program, target], cwd=source, env=environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    path = target / done.stdout.split()[-1]
    (normalise_wheel if kind == "wheel" else normalise_sdist)(path, date)
    return path


def normalise_wheel(path: Path, date: int) -> None:
    """Write it again with the same files in their order, and one time and mode."""
    moment = time.gmtime(max(date, 315532800))[:6]  # a zip file knows no time before 1980
    with zipfile.ZipFile(path) as old:
        files = [(info.filename, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name, content in files:
            info = zipfile.ZipInfo(name, moment)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            new.writestr(info, content)


def normalise_sdist(path: Path, date: int) -> None:
    """Write it again, sorted, with one time, mode and owner."""
    with tarfile.open(path) as old:
        members = [(one, old.extractfile(one)) for one in old.getmembers() if one.isfile()]
        files = sorted((one.name, content.read()) for one, content in members if content)
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=date) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), date, 0o644
            new.addfile(info, io.BytesIO(content))
    path.write_bytes(packed.getvalue())


def build_both(target: Path, *, mode: int = 0o644) -> list[Path]:
    """Build both distributions from a copy of the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        copy_source(source, mode=mode)
        date = source_date()
        return [build(source, kind, target, date) for kind in ("wheel", "sdist")]


def missing_of(wheel: Path) -> list[str]:
    """Return the files of the package that a wheel does not have as they are in the checkout."""
    with zipfile.ZipFile(wheel) as built:
        names = {*built.namelist()}
        return [
            name
            for name in tracked_files()
            if name.startswith("dispatcher/")
            and (name not in names or built.read(name) != (ROOT / name).read_bytes())
        ]


def unexpected_of(wheel: Path) -> list[str]:
    """Return what a wheel has beside the package and its metadata, or what is a link."""
    expected = {*tracked_files()}
    with zipfile.ZipFile(wheel) as built:
        return [
            info.filename
            for info in built.infolist()
            if stat.S_ISLNK(info.external_attr >> 16)
            or (info.filename not in expected and ".dist-info/" not in info.filename)
        ]


def check(target: Path, cache: Path) -> None:
    """Build a second time, compare, and use the wheel in an empty environment."""
    wheel, sdist = build_both(target)
    with tempfile.TemporaryDirectory() as folder:
        again = build_both(Path(folder) / "again", mode=0o600)
        for first, second in zip((wheel, sdist), again, strict=True):
            if first.read_bytes() != second.read_bytes():
                raise SystemExit(f"two builds of {first.name} differ")
        with tarfile.open(sdist) as packed:
            packed.extractall(Path(folder) / "unpacked", filter="data")
        (unpacked,) = (Path(folder) / "unpacked").iterdir()
        from_sdist = build(unpacked, "wheel", Path(folder) / "from-sdist", source_date())
        if from_sdist.read_bytes() != wheel.read_bytes():
            raise SystemExit("the wheel of the source distribution is another one")
        for what, names in (("misses", missing_of(wheel)), ("has", unexpected_of(wheel))):
            if names:
                raise SystemExit(f"{wheel.name} {what} {', '.join(names)}")
        for path in (wheel, sdist):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            say(f"{path.name}: two builds are equal, {path.stat().st_size:,} bytes, {digest}")
        use(wheel, Path(folder) / "empty", cache)


def use(wheel: Path, folder: Path, cache: Path) -> None:
    """Install a wheel into an empty environment, and send with it to a first list of contacts."""
    fetch(cache)
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "venv"], cwd=folder, check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-cache-dir"]
    offline = [*pip, "--no-index", "--find-links", cache, "--require-hashes", "-r", REQUIREMENTS]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run(offline, check=True, env=environment)
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, env=environment)
    places = subprocess.check_output(
        [python, "-c", "import dispatcher; print(dispatcher.__file__)"],
        cwd=folder, env=environment, text=True,
    )  # fmt: skip
    if not places.startswith(str(folder)):
        raise SystemExit(f"another dispatcher was imported: {places}")
    say(first_run(python.parent / "dispatcher", folder))


def fetch(cache: Path) -> None:
    """Download the packages of a run that are not there yet; their hashes are checked."""
    cache.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "-d", cache]
    pip += ["--only-binary", ":all:", "-r", REQUIREMENTS]
    there = subprocess.run(
        [*pip, "--no-index", "--find-links", cache], capture_output=True, check=False
    )
    if there.returncode != 0:
        subprocess.run(pip, check=True)


def first_run(command: Path, folder: Path) -> str:
    """Send to the contacts of a first configuration, as README.md shows it; return the end."""
    environment = {"DISPATCHER_CLIENT_ID": "sandbox-client"}
    environment |= {"DISPATCHER_CLIENT_SECRET": "sandbox-secret", "PATH": os.environ["PATH"]}
    subprocess.run([command, "init", "first"], cwd=folder, env=environment, check=True)
    with running_sandbox(command, folder, environment):
        for line in (["check"], ["run", "--once", "--no-progress"], ["status"]):
            done = subprocess.run(
                [command, *line], cwd=folder / "first", env=environment, text=True,
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                raise SystemExit(f"dispatcher {' '.join(line)}: {done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def running_sandbox(command: Path, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run the sandbox at its usual port until the block ends."""
    line = [command, "sandbox", "--scenario", "plain", "--ready-json"]
    with subprocess.Popen(
        line, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as sandbox:
        try:
            if not re.search("url", sandbox.stdout.readline()):
                raise SystemExit("the sandbox did not start")
            yield
        finally:
            sandbox.send_signal(signal.SIGTERM)


def say(text: str) -> None:
    """Write a line for the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _output(*command: str) -> str:
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def main() -> None:
    """Build, and check if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "wheels")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.check:
        check(folder, options.cache.resolve())
        return
    for path in build_both(folder):
        say(str(path))


if __name__ == "__main__":
    main()
