"""The command line: commands, their output and their exit codes."""

import sys

from dispatcher.cli.closed_pipes import drop_output
from dispatcher.cli.root import cli
from dispatcher.domain.errors import ExitCode

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    try:
        cli(prog_name="dispatcher")
    except BrokenPipeError:  # click writes what is wrong with the usage after everything else
        drop_output(sys.stderr)
        sys.exit(ExitCode.USAGE)
