"""The command line: commands, what they print, and how they end."""

from dispatcher.cli.root import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    cli(prog_name="dispatcher")
