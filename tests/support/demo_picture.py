"""Draws docs/demo.svg from the output of a real demo; ``make picture`` runs it."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/demo.svg"
WIDTH = 84
"""Columns of the terminal in the picture."""
_SUMMARY = "Campaign demo"
"""The first words of the summary; lines before it are the progress."""
_FONTS = re.compile(r"\n *@font-face \{[^}]*\}")
"""The fonts that a viewer would download; it has a monospaced one of its own."""


def summary():
    """Run the demo and return the end of its output, with the colours of a terminal."""
    command = [str(Path(sys.executable).with_name("dispatcher")), "demo", "--no-progress"]
    terminal = {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    done = subprocess.run(
        command, env=os.environ | terminal, cwd=ROOT, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = done.stdout.replace(f"{ROOT}/", "").splitlines()
    start = next(number for number, line in enumerate(lines) if _SUMMARY in line)
    return "\n".join(lines[start:])


def draw(output):
    """Return the picture of a terminal with an output."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print("$ make demo\n...", highlight=False)
    console.print(Text.from_ansi(output))
    picture = console.export_svg(title="dispatcher demo")
    return _FONTS.sub("", picture)


if __name__ == "__main__":
    PICTURE.write_text(draw(summary()), "utf-8")
