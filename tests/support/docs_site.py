"""Builds the documentation as a site; ``python -m tests.support.docs_site`` (``make docs``).

The site has every document of the repository, and every file that one of them links to, at its path
in the repository. docs/index.md becomes the first page, and README.md the page ``overview``. A link
to a folder leads to its README.md, or to a list of its files. The build fails on a link or anchor
that leads nowhere, and on a document that is not in the navigation.
"""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.support.documents import ROOT, documents, links

STAGE = ROOT / "var" / "docs"
FIRST, README = ROOT / "docs" / "index.md", ROOT / "README.md"
LIST = "folder.md"
"""The page with the files of a folder."""
_TARGET = re.compile(r"(?<=\]\()([^()\s#]+)(?=(#[^()\s]*)?\))")


def stage() -> None:
    """Copy the documents and what they link to."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for path in documents():
        page = place_of(path)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_TARGET.sub(partial(rewritten, path), path.read_text("utf-8")), "utf-8")
        for link in links(path):
            if link.file.is_dir():
                list_folder(link.file)
            elif link.file.is_file() and link.file.suffix != ".md":
                copy(link.file)


def place_of(path: Path) -> Path:
    """Return where a file of the repository is in the site's folder."""
    special = {FIRST: STAGE / "index.md", README: STAGE / "overview.md"}
    return special.get(path, STAGE / path.relative_to(ROOT))


def rewritten(path: Path, found: "re.Match[str]") -> str:
    """Return the target of a link of a document, as it is in the site."""
    target = found[0]
    if re.match(r"[a-z]+:", target):
        return target
    file = (path.parent / target).resolve()
    if file.is_dir():
        file /= "README.md" if (file / "README.md").exists() else LIST
    place = place_of(file)
    steps = len(place_of(path).parent.relative_to(STAGE).parts)
    return f"{'../' * steps}{place.relative_to(STAGE)}"


def list_folder(folder: Path) -> None:
    """Write the page with the files of a folder, if it has no README.md of its own."""
    if (folder / "README.md").exists():
        return
    lines = [f"# {folder.relative_to(ROOT)}", ""]
    for path in sorted(path for path in folder.rglob("*") if is_public(path)):
        copy(path)
        lines.append(f"- [{path.relative_to(folder)}]({path.relative_to(folder)})")
    place_of(folder).mkdir(parents=True, exist_ok=True)
    (place_of(folder) / LIST).write_text("\n".join(lines) + "\n", "utf-8")


def is_public(path: Path) -> bool:
    """Return True if a page may list the path."""
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"


def copy(path: Path) -> None:
    """Copy a file that is no document."""
    place_of(path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place_of(path))


def main() -> None:
    """Copy, and build."""
    stage()
    # not --quiet: with it, --strict counts no warnings
    program = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    code = subprocess.run(
        [*program, *sys.argv[1:]], cwd=ROOT, env=environment, check=False
    ).returncode
    if code == 0:
        pages = len([*(ROOT / "var" / "site").rglob("*.html")])
        sys.stdout.write(f"var/site: {pages} pages, all links and anchors lead somewhere\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
