"""The command line: commands, their output and their exit codes."""

from dispatcher.cli.root import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    cli(prog_name="dispatcher")
