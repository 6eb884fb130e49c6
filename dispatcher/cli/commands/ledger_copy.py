"""``dispatcher ledger copy``: moves a ledger from a file into a database, or back."""

import os
from dataclasses import dataclass
from pathlib import Path

import click

from dispatcher.app.store import copy_ledger, undo_copy
from dispatcher.cli.config import DEFAULT_CONFIG, LEDGER, config_option, option_group
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.formatting import duration, plural
from dispatcher.cli.options import debug_option, progress_option
from dispatcher.cli.progress import show_counts
from dispatcher.domain.errors import ExitCode
from dispatcher.ports.copying import Copied, Prepared
from dispatcher.settings import LedgerPlace, ledger_flag, load


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """The options that name the two ledgers of a copy."""

    from_: str | None
    to: str | None
    config: Path | None
    password_file: str | None
    password_variable: str | None

    def places(self) -> tuple[LedgerPlace, LedgerPlace]:
        """Return where the old ledger is, and where the new one.

        Raises:
            UsageError: it is not clear which ledgers are meant.

        """
        if self.from_ and self.to:
            if self.config is not None:
                raise click.UsageError("leave --from or --to out, for the ledger of --config")
            return self._named(self.from_), self._named(self.to)
        if not (self.from_ or self.to):
            raise click.UsageError("name the ledgers with --from and --to")
        if self.from_:
            return self._named(self.from_), self._configured("--to")
        return self._configured("--from"), self._named(self.to or "")

    def _named(self, name: str) -> LedgerPlace:
        flags = ledger_flag(name)
        if "ledger.path" in flags:
            return LedgerPlace.of_file(Path(name))
        flags["ledger.password_file"] = self.password_file
        flags["ledger.password_variable"] = self.password_variable
        return load(None, env=os.environ, flags=flags, purpose="status").ledger_place

    def _configured(self, option: str) -> LedgerPlace:
        config = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
        if config is None:
            raise click.UsageError(f"name {option}, or a configuration with --config")
        return load(config, env=os.environ, flags={}, purpose="status").ledger_place


_place_options = option_group(
    PlaceOptions,
    click.option("--from", "from_", type=LEDGER, metavar="PLACE", help="The ledger to copy."),
    click.option(
        "--to",
        type=LEDGER,
        metavar="PLACE",
        help="Where it goes: an empty database, or a file that does not exist.",
    ),
    config_option,
    click.option(
        "--password-file",
        metavar="FILE",
        help="The file that has the password of the URL; as ledger.password_file.",
    ),
    click.option(
        "--password-variable",
        metavar="NAME",
        help="The variable that has the password of the URL; as ledger.password_variable.",
    ),
)


@click.command(epilog=EPILOG, short_help="Move a ledger from a file into a database, or back.")
@_place_options
@click.option("--undo", is_flag=True, help="Give the copy up: --from can be used again.")
@click.option("--lost", is_flag=True, help="With --undo: the ledger of --to is lost.")
@progress_option
@debug_option
def copy(options: PlaceOptions, *, undo: bool, lost: bool, progress: bool | None) -> int:
    """Move the whole ledger from a file into a database of PostgreSQL, or from there into a file.

    \b
      dispatcher ledger copy --from ledger.db --to postgresql://user@host/dispatcher
      dispatcher ledger copy --config dispatcher.toml --to postgresql://user@host/dispatcher
      dispatcher ledger copy --from postgresql://user@host/dispatcher --to ledger.db

    A PLACE is a file, or a URL without a password. Leave --from or --to out for the ledger that
    the configuration names.

    Stop all runs on both ledgers first. Campaigns, contacts, lineage, rejected rows and all else
    are copied; then all rows of both ledgers are read again and compared. From then on only the
    new ledger can be used: the old one is kept, and a run refuses it. Set ledger.url or
    ledger.path to the new one.

    Repeat the command if it was interrupted: it goes on where it ended. Until it is complete, no
    run can use either ledger. --undo gives the copy up: the new ledger is emptied, unless a run
    has used it. With --lost only the old ledger is changed: what was sent with the new one would
    be sent again.
    """
    if lost and not undo:
        raise click.UsageError("--lost is for --undo")
    source, target = options.places()
    if undo:
        undo_copy(source, None if lost else target)
        click.echo(f"Ledger {source} can be used again.")
        return ExitCode.DONE
    with show_counts("copied", "compared", live=progress) as show:
        copied = copy_ledger(source, target, show)
    _report(source, target, copied)
    return ExitCode.DONE


def _report(source: LedgerPlace, target: LedgerPlace, copied: Copied) -> None:
    rows = sum(copied.rows.values())
    if copied.was_complete:
        click.echo(f"Ledger {source} was copied to {target} before: nothing was changed.")
        return
    for text in _prepared(copied.prepared):
        click.echo(text)
    earlier = f", {copied.earlier:,} of them by an earlier command" if copied.earlier else ""
    click.echo(
        f"Ledger {source} has moved to {target}: {plural(copied.rows['contact'], 'contact')}, "
        f"{plural(copied.rows['lineage'], 'lineage row')}, {plural(rows, 'row')} in all{earlier}, "
        f"in {duration(copied.seconds)}. All rows were read again and are equal."
    )
    if copied.last_cursor:
        click.echo(
            "A reader of `dispatcher lineage export --since` that has read all rows goes on from "
            f"cursor {copied.last_cursor}."
        )
    key = "ledger.url" if target.file is None else "ledger.path"
    click.echo(f"Runs refuse the old ledger from now on; set {key} to the new one.")


_PREPARED = {
    "released": "that an ended run had claimed became ready",
    "doubted": "that an ended run was sending became in doubt",
    "parked": "in doubt besides another one of the same conversation or person became parked",
}


def _prepared(prepared: Prepared) -> list[str]:
    """Return what was changed before the copy, in words."""
    return [
        f"{plural(getattr(prepared, name), 'contact')} {words}."
        for name, words in _PREPARED.items()
        if getattr(prepared, name)
    ]
