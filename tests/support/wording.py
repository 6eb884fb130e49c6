"""Finds words and names that the project does not use; ``python -m tests.support.wording [PATH]``.

Without a path it also finds class names that two modules of the package define.

Prose is for readers with English as a second language: a word is taken in its first meaning. Names
are the field's terms; CONTRIBUTING.md says how they are chosen.
"""

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROSE = re.compile(
    r"\b(anew|who(?:so)?ever|for want of|of late|tell|tells|told|telling|stand|stands|stood)\b",
    re.IGNORECASE,
)
"""Words with a plainer one: again, which, without, recently, return or report, is."""
NAMES = re.compile(r"(^|_)(each|given|told|tell|seen|asked|anew|stand|standing)(_|$)")
"""Parts of identifiers that say nothing about what is there."""
COLUMNS = frozenset({"state_seen"})
"""Names that a column of the ledger has: users' words."""
_CODE = re.compile(r"`[^`]*`")


def findings(paths: list[Path]) -> Iterator[str]:
    """Yield what is found in Python files and documents, one line each."""
    for path in paths:
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if path.suffix == ".py":
            for line, what in (*_prose(path), *_identifiers(path)):
                yield f"{name}:{line}: {what}"
        else:
            for line, text in enumerate(path.read_text("utf-8").splitlines(), 1):
                for word in PROSE.findall(_CODE.sub("", text)):
                    yield f"{name}:{line}: {word!r}"


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the words in comments, docstrings and messages."""
    for token in tokenize.tokenize(io.BytesIO(path.read_bytes()).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for number, text in enumerate(token.string.splitlines()):
                for word in PROSE.findall(text):
                    yield token.start[0] + number, repr(word)


def _identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names of what the file defines."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                pass
            case ast.Name(id=name, ctx=ast.Store()):
                pass
            case _:
                continue
        if NAMES.search(name) and name not in COLUMNS:
            yield node.lineno, f"name {name!r}"


def repeated_classes(package: Path) -> dict[str, list[str]]:
    """Return the class names that more than one module of a package defines, with the modules."""
    found = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(package)))
    return {name: places for name, places in found.items() if len(places) > 1}


def written() -> list[Path]:
    """Return the files that the rules hold for: the package, and what users read."""
    documents = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    documents += [ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]
    documents += [*sorted((ROOT / "config").glob("**/*.toml")), ROOT / "config/datadog/README.md"]
    return [*sorted((ROOT / "dispatcher").rglob("*.py")), *documents]


def main(arguments: list[str]) -> int:
    """Print what is found; the exit code is 1 if there is something."""
    paths = []
    for argument in arguments:
        path = Path(argument).resolve()
        paths += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    found = list(findings(paths or written()))
    if not paths:
        repeated = repeated_classes(ROOT / "dispatcher")
        found += [f"class {name}: {', '.join(places)}" for name, places in repeated.items()]
    print("\n".join(found))  # noqa: T201 - a command's output
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
