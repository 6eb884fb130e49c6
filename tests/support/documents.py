"""The documents of the repository: their headings, links and code blocks."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)(```+|~~~+)([\w-]*).*$")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$")
_INLINE_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its file, its first line, its language and its text."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Link:
    """A link of a document to another place of the repository."""

    path: Path
    line: int
    target: str

    @property
    def file(self) -> Path:
        """The file or folder that it leads to."""
        name = self.target.partition("#")[0]
        return (self.path.parent / name).resolve() if name else self.path

    @property
    def anchor(self) -> str:
        """The anchor in the file; empty if there is none."""
        return self.target.partition("#")[2]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.target}"


def documents() -> list[Path]:
    """Return all documents that git has."""
    names = subprocess.check_output(["git", "ls-files", "-z", "*.md"], cwd=ROOT, text=True)
    return [ROOT / name for name in names.split("\0") if name]


@cache
def _parts(path: Path) -> tuple[str, tuple[Block, ...]]:
    """Return the prose of a document, with empty lines for code, and its blocks."""
    prose: list[str] = []
    blocks: list[Block] = []
    fence, start, language, code = "", 0, "", []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        found = _FENCE.match(line)
        if not fence and found:
            fence, start, language, code = found[2], number, found[3], []
        elif fence and found and found[2] == fence and not found[3]:
            blocks.append(Block(path, start, language, "\n".join(code) + "\n"))
            fence = ""
        elif fence:
            code.append(line)
        else:
            prose.append(line)
            continue
        prose.append("")
    assert not fence, f"{path}:{start}: the block does not end"
    return "\n".join(prose), tuple(blocks)


def blocks(language: str) -> list[Block]:
    """Return the blocks of a language in all documents."""
    return [one for path in documents() for one in _parts(path)[1] if one.language == language]


def links(path: Path) -> Iterator[Link]:
    """Yield the links of a document that lead to places of the repository."""
    prose = _INLINE_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), _parts(path)[0])
    kept = _parts(path)[0]
    for found in _LINK.finditer(kept):
        inside_code = prose[found.end() - 1] == " "
        if not inside_code and not re.match(r"[a-z]+:", found[1]):
            yield Link(path, kept.count("\n", 0, found.start()) + 1, found[1])


def inline_code(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the code in the prose of a document, with its line."""
    prose = _parts(path)[0]
    for found in _INLINE_CODE.finditer(prose):
        yield prose.count("\n", 0, found.start()) + 1, " ".join(found[2].split())


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of the headings of a document, as GitHub makes them, and its own."""
    found: Counter[str] = Counter()
    names = {*re.findall(r'<a id="([^"]+)">', _parts(path)[0])}
    for line in _parts(path)[0].splitlines():
        if heading := _HEADING.match(line):
            name = slug(heading[1])
            names.add(f"{name}-{found[name]}" if found[name] else name)
            found[name] += 1
    return frozenset(names)


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    plain = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
    return re.sub(r"[^\w\- ]", "", plain.replace("`", "").lower()).replace(" ", "-")
