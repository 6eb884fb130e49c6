"""``python -m dispatcher``, and what the installed command calls."""

from dispatcher import early_signals


def main() -> None:
    """Run the command that the arguments name; signals come before its imports."""
    early_signals.catch()
    from dispatcher.cli import main as run_command  # noqa: PLC0415 - see above

    run_command()


if __name__ == "__main__":
    main()
