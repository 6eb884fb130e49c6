"""The way of README.md from a clone to the first message with a list of one's own."""

import re
import shlex
import subprocess
import sys

from tests.support.documented_commands import command_lines
from tests.support.documents import ROOT, blocks
from tests.support.forked_process import clean_environment
from tests.support.sandbox_process import SCENARIOS, sandbox

MOST = 6
"""So many commands are a way that a newcomer goes to its end."""


def way():
    """The lines of the block that begins with a clone."""
    (block,) = [one for one in blocks("sh") if one.text.startswith("git clone")]
    assert block.path == ROOT / "README.md"
    return block.text.splitlines()


def test_it_is_six_commands_and_none_is_chained():
    """Each line is one command; make and the virtual environment are as the Makefile has them."""
    lines = way()
    assert len(lines) <= MOST
    for line in lines:
        words = [*shlex.shlex(line, posix=True, punctuation_chars=True)]
        assert not {"&&", "||", ";", "|"} & {*words}, line
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (target,) = [line.split()[-1] for line in lines if line.startswith("make ")]
    assert re.search(rf"^{target}: \$\(VENV\)/\.run$", makefile, re.MULTILINE)
    assert re.search(r"^VENV \?= \.venv$", makefile, re.MULTILINE)


def test_it_ends_with_the_first_message(tmp_path):
    """The commands as they are written, in a folder with a list; only the port is another one."""
    (tmp_path / "list.csv").write_text(
        "Conversation Id,First Name\nactive-1,Ada\nactive-2,Bea\n", encoding="utf-8"
    )
    lines = way()
    words = {found[0]: found for found in command_lines("\n".join(lines))}
    assert [*words] == ["sandbox", "init", "run"]
    given = dict(re.findall(r"(DISPATCHER_\w+)=(\S+)", lines[-1]))
    with sandbox(SCENARIOS / "plain.toml", tmp_path / "effects.jsonl") as platform:
        for arguments in ([*words["init"], "--platform-url", platform.url], words["run"]):
            done = subprocess.run(
                [sys.executable, "-m", "dispatcher", *arguments], cwd=tmp_path, text=True,
                env={**clean_environment(), **given}, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
        assert len(platform.effects()) == 1
