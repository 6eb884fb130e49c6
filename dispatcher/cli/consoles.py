"""Consoles for people, which do not end the process when nobody reads their output."""

import sys

from rich.console import Console

from dispatcher.cli.closed_pipes import drop_output


class OutputConsole(Console):
    """The console of a command whose purpose is its output: it ends when nobody reads that."""

    def on_broken_pipe(self) -> None:
        """Report the closed pipe; rich ends the process with exit code 1 instead."""
        raise BrokenPipeError


class RunConsole(Console):
    """The console of a command that has other work to do: it drops what nobody reads."""

    def on_broken_pipe(self) -> None:
        """Drop this output and all that follows."""
        drop_output(sys.stderr if self.stderr else sys.stdout)
