"""A reader that closes its pipe, such as ``head``, is no bug and no failure."""

import os
import subprocess
import sys

import pytest

from dispatcher.cli import main

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


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("--help", 0), ("--version", 0), ("run --help", 0), ("parked --help", 0), ("runn", 2)],
)
def test_help_and_usage_that_nobody_reads(arguments, code):
    """Click writes these before and after a command; both streams are closed here."""
    assert in_closed_pipe(arguments.split()) == code


def in_closed_pipe(arguments):
    """Run the command line in a fork, with output that nobody reads; return its exit code."""
    reading, writing = os.pipe()
    os.close(reading)
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["dispatcher", *arguments]
        try:
            main()
        except SystemExit as ended:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(ended.code or 0))
        finally:
            os._exit(99)
    os.close(writing)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
