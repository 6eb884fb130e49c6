"""``dispatcher ledger``: pruning, verifying, copying, and forgetting a person."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from dispatcher.cli import formatting
from dispatcher.cli.config import load_settings
from dispatcher.cli.exit_codes import Exit, say
from dispatcher.ledgers.errors import ledger_error
from dispatcher.ledgers.lock import LedgerLockedError
from dispatcher.ledgers.maintenance import erase, prune
from dispatcher.ledgers.maintenance.backup import back_up
from dispatcher.ledgers.maintenance.batches import ReportProgress, truncate_wal
from dispatcher.ledgers.maintenance.integrity import check_integrity
from dispatcher.ports import LedgerError

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
_YOUNGEST = _UNITS["d"]
_MIB = 1 << 20
_LINE_SECONDS = 10.0


def prune_command(given: Mapping[str, Any]) -> int:
    """Remove what is old enough, or tell how much that is; return the exit code."""
    path = _place(given)
    before = time.time() - _age(given["older_than"])
    order = prune.PruneOrder(before, given["campaign"], given["parked"], given["dry_run"])
    with _exclusive_use(path, "prune"), _shown(given, "pruning") as report:
        pruned, left = prune.prune_ledger(path, order, vacuum=given["vacuum"], report=report)
    would = "would be removed" if order.dry else "were removed"
    click.echo(
        f"{formatting.count(pruned.contacts)} contacts, {formatting.count(pruned.lineage)} lineage "
        f"rows and {formatting.count(pruned.rejected)} rejected rows {would}."
    )
    click.echo(
        f"The file has {left.whole / _MIB:,.1f} MiB; {left.free / _MIB:,.1f} MiB of them are "
        "free, and used again before it grows."
    )
    return Exit.DONE


def verify_command(given: Mapping[str, Any]) -> int:
    """Print what was looked for and what was found; return the exit code."""
    path, found = _place(given), 0
    for finding in check_integrity(path, quick=given["quick"]):
        if not finding.count:
            click.echo(f"ok    no {finding.meaning}")
            continue
        found += 1
        click.echo(f"FAIL  {formatting.count(finding.count)} {finding.meaning}: {finding.advice}")
    if found:
        say(f"dispatcher: ledger {path}: {found} things are wrong with it")
        return Exit.LEDGER
    click.echo(f"Ledger {path} is whole.")
    return Exit.DONE


def backup_command(given: Mapping[str, Any]) -> int:
    """Copy the ledger; return the exit code."""
    path, target = _place(given), given["target"]
    with _shown(given, "copying") as report:
        found = back_up(path, target, overwrite=given["force"], report=report)
    size = target.stat().st_size / _MIB
    click.echo(f"Ledger {path} was copied to {target} ({size:,.1f} MiB).")
    for finding in found:
        click.echo(f"FAIL  {formatting.count(finding.count)} {finding.meaning}: {finding.advice}")
    return Exit.LEDGER if found else Exit.DONE


def forget_command(given: Mapping[str, Any]) -> int:
    """Erase one person; return the exit code."""
    contact, external = given["contact"], given["external_contact"]
    if (contact is None) == (external is None):
        raise click.UsageError("name either CONTACT or --external-contact ID")
    path = _place(given)
    whom = erase.ErasureTarget(contact or external, contact is None, given["campaign"])
    with _exclusive_use(path, "forget"), _shown(given, "looking") as report:
        forgotten = erase.erase_person(path, whom, time.time(), report=report)
    emptied = truncate_wal(path)
    return _told(path, whom, forgotten, emptied=emptied)


def _told(
    path: Path, whom: erase.ErasureTarget, forgotten: erase.ErasureReport, *, emptied: bool
) -> int:
    if forgotten.known_before:
        click.echo("Nothing was left to erase: only a hash of it is in the ledger.")
        return Exit.DONE
    if not (forgotten.contacts or forgotten.rejected or forgotten.refused):
        raise ledger_error(path, f"nothing in it names {whom.name!r}; check the key or the id")
    click.echo(
        f"{formatting.count(forgotten.contacts)} contacts and "
        f"{formatting.count(forgotten.rejected)} rejected rows were erased."
    )
    for each in forgotten.refused:
        say(f"dispatcher: contact {each.id} of campaign {each.campaign} was kept: {each.why}")
    if not emptied:
        say(
            f"dispatcher: ledger {path}: another program reads it, so its log still holds what "
            "was erased; close that program and run this command again"
        )
    return Exit.DONE if emptied and not forgotten.refused else Exit.LEDGER


@contextmanager
def _exclusive_use(path: Path, command: str) -> Iterator[None]:
    """Say what to do if a dispatcher uses the ledger."""
    try:
        yield
    except LedgerLockedError as error:
        raise LedgerError(
            f"ledger {path}: a dispatcher (pid {error.holder}) works on it; stop it, run "
            f"`dispatcher ledger {command}` again, and start it again"
        ) from None


def _age(given: str) -> float:
    """Read an age such as 90d as seconds."""
    match = re.fullmatch(r"(\d{1,6})([hdw])", given.strip())
    if match is None:
        raise click.BadParameter(
            f"{given!r} is no age; write 90d, 12w or 36h", param_hint="--older-than"
        )
    age = int(match[1]) * _UNITS[match[2]]
    if age < _YOUNGEST:
        raise click.BadParameter(
            "what is younger than 1d may still be needed to tell what became of a send",
            param_hint="--older-than",
        )
    return age


def _place(given: Mapping[str, Any]) -> Path:
    """Find the ledger: named by itself, or by a configuration."""
    if given["ledger"] and not given["config"]:
        return Path(given["ledger"])
    return Path(load_settings({**given, "campaign": None}, purpose="status").ledger.path)


class _Lines:
    """Says how far it is, not more often than `_LINE_SECONDS`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = time.monotonic()

    def __call__(self, done: int, whole: int) -> None:
        if time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            say(f"{self._what}: {formatting.count(done)} of {formatting.count(whole)}")


@contextmanager
def _shown(given: Mapping[str, Any], what: str) -> Iterator[ReportProgress]:
    """Show how far it is: a bar at a terminal, a line now and then elsewhere."""
    console = Console(stderr=True)
    live = console.is_terminal if given["progress"] is None else given["progress"]
    if not live:
        yield _Lines(what)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
