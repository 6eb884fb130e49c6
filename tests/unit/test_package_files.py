"""What the wheel is made of; `make wheel-check` builds it, installs it and sends with it."""

import os
import tarfile
import tomllib
import zipfile
from pathlib import PurePath

from tests.support.distributions import (
    INPUTS,
    ROOT,
    normalise_sdist,
    normalise_wheel,
    tracked_files,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = [PurePath(name) for name in tracked_files()]
PACKAGE = [path for path in FILES if path.parts[0] == "dispatcher"]


def is_data(path):
    """True if `package-data` names the file."""
    for pattern in PROJECT["tool"]["setuptools"]["package-data"]["dispatcher"]:
        below = ROOT / "dispatcher"
        if ROOT / path in below.glob(pattern):
            return True
    return False


def test_every_file_of_the_package_is_a_module_or_named_as_data():
    """A file that is neither would be missing in the wheel; a folder of modules is a package."""
    modules = {path for path in PACKAGE if path.suffix == ".py" and "data" not in path.parts}
    assert [str(path) for path in PACKAGE if path not in modules and not is_data(path)] == []
    assert {path.parent / "__init__.py" for path in modules} <= modules
    assert PurePath("dispatcher/py.typed") in PACKAGE
    assert {".sql", ".csv", ".toml", ".json"} <= {path.suffix for path in PACKAGE}


def test_the_distributions_need_nothing_else():
    assert {path.parts[0] for path in FILES} == set(INPUTS)
    named = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert named <= set(INPUTS)


def packed(folder, moment, mode):
    """A wheel and a source distribution of one file, with these times and modes in them."""
    folder.mkdir()
    file = folder / "a.py"
    file.write_text("1")
    file.chmod(mode)
    os.utime(file, (moment, moment))
    with zipfile.ZipFile(folder / "a.whl", "w") as wheel:
        wheel.write(file, "a.py")
    with tarfile.open(folder / "a.tar.gz", "w:gz") as sdist:
        sdist.add(file, "a-1/a.py")
    normalise_wheel(folder / "a.whl", 1_700_000_000)
    normalise_sdist(folder / "a.tar.gz", 1_700_000_000)
    return [(folder / name).read_bytes() for name in ("a.whl", "a.tar.gz")]


def test_times_and_modes_leave_no_trace(tmp_path):
    """Two distributions are the same bytes if they have the same files."""
    first = packed(tmp_path / "first", 1_600_000_000, 0o600)
    assert packed(tmp_path / "second", 1_650_000_000, 0o755) == first
