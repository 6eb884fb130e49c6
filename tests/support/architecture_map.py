"""The map of the package in docs/architecture.md: each module with its docstring's first line.

``python -m tests.support.architecture_map`` writes it into the document.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/architecture.md"
_MAP = re.compile(r"(?<=<!-- map -->\n)```\n.*?```\n", re.DOTALL)


def lines(folder: Path, depth: int = 0) -> Iterator[str]:
    """Yield the folders of a package, each with its modules, in the order of their names."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.suffix == ".py" and not path.name.startswith("__"):
            yield _line(path.name, depth, path)
        elif (path / "__init__.py").exists():
            yield _line(f"{path.name}/", depth, path / "__init__.py")
            yield from lines(path, depth + 1)
        elif path.is_dir() and path.name != "__pycache__":
            names = sorted(child.name for child in path.iterdir() if child.name != "__pycache__")
            if names:
                yield f"{'  ' * depth}{path.name}/  {', '.join(names)}"


def _line(name: str, depth: int, module: Path) -> str:
    documentation = ast.get_docstring(ast.parse(module.read_bytes())) or ""
    return f"{'  ' * depth}{name}  {documentation.partition(chr(10))[0]}"


def written() -> str:
    """Return the document's text with the map as it should be."""
    text = "\n".join(lines(ROOT / "dispatcher"))
    return _MAP.sub(lambda _: f"```\n{text}\n```\n", DOCUMENT.read_text("utf-8"))


if __name__ == "__main__":
    DOCUMENT.write_text(written(), "utf-8")
