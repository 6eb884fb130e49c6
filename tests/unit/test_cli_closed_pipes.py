"""A reader that closes its pipe, such as ``head``, is no bug and no failure."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import click
from dispatcher.cli.consoles import OutputConsole, RunConsole
from dispatcher.cli.exit_codes import explain_errors, say
sys.stdin.readline()
try:
    with explain_errors(lambda: False):
        {body}
        raise click.exceptions.Exit(7)
except click.exceptions.Exit as ended:
    sys.exit(ended.exit_code)
"""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("RunConsole().print('line'); RunConsole().print('line')", 7),
        ("OutputConsole().print('line')", 0),
        ("click.echo('line')", 0),
        ("say('line'); say('line')", 7),
    ],
    ids=["a run goes on", "a table ends", "a line ends", "messages"],
)
def test_output_that_nobody_reads(body, code):
    command = [sys.executable, "-c", PROGRAM.replace("{body}", body)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.close()
        if "say" in body:
            process.stderr.close()
        process.stdin.write("go\n")
        process.stdin.close()
        shown = "" if "say" in body else process.stderr.read()
        assert process.wait(20) == code
    assert shown == ""
