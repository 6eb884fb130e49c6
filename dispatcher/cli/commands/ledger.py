"""``dispatcher ledger``: prune, verify and copy a ledger, and erase a person."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dispatcher.app.store import (
    adopt_file,
    back_up_file,
    migrate_ledger,
    operator_store,
    record_restored,
)
from dispatcher.cli.commands.ledger_copy import copy
from dispatcher.cli.config import ConfigOptions, ledger_file_options
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.formatting import plural
from dispatcher.cli.lazy_group import LazyGroup
from dispatcher.cli.options import FILE, debug_option, progress_option
from dispatcher.cli.progress import show_counts
from dispatcher.domain.errors import ExitCode
from dispatcher.ports import LedgerError, LedgerLockedError
from dispatcher.ports.care import ErasureReport, ErasureTarget, PruneOrder, ReportProgress
from dispatcher.settings import LedgerPlace

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
_YOUNGEST = _UNITS["d"]
_MIB = 1 << 20


@click.group(cls=LazyGroup)  # which lists its commands in this order
def ledger() -> None:
    """Maintain the ledger: prune, verify or copy it, adopt a copy, or forget a person.

    verify and backup work while a dispatcher runs. For all others stop the run first,
    unless the ledger is in a database: then prune and forget work while a dispatcher runs, too.
    """


@ledger.command(epilog=EPILOG, short_help="Remove contacts that became final long ago.")
@ledger_file_options
@click.option(
    "--older-than", required=True, metavar="AGE", help="Such as 90d, 12w or 36h; at least 1d."
)
@click.option("--campaign", help="Only this campaign; by default all.")
@click.option(
    "--parked", is_flag=True, help="Also remove parked contacts; then they cannot be replayed."
)
@click.option("--dry-run", is_flag=True, help="Only report how many would be removed.")
@click.option("--vacuum", is_flag=True, help="Afterwards make the file as small as possible.")
@progress_option
@debug_option
def prune(  # noqa: PLR0913 - one parameter for each option
    options: ConfigOptions,
    *,
    older_than: str,
    campaign: str | None,
    parked: bool,
    dry_run: bool,
    vacuum: bool,
    progress: bool | None,
) -> int:
    """Remove contacts that became final long ago, with lineage and history, and old rejected rows.

    Hashes of their keys stay, with the times of their messages, so that they are never new
    contacts again. The totals that `dispatcher status` shows do not change.
    """
    place = options.ledger_place()
    order = PruneOrder(time.time() - _age(older_than), campaign, parked, dry_run, vacuum)
    with _exclusive_use(place, "prune"), _show_progress("pruning", progress=progress) as report:
        pruned, left = operator_store(place).tend(order, report)
    would = "would be removed" if order.dry else "were removed"
    click.echo(
        f"{plural(pruned.contacts, 'contact')}, {plural(pruned.lineage, 'lineage row')} and "
        f"{plural(pruned.rejected, 'rejected row')} {would}."
    )
    if place.file is None:
        click.echo(
            f"The tables have {left.whole / _MIB:,.1f} MiB; the server uses the free space in them "
            "again after a vacuum."
        )
    else:
        click.echo(
            f"The file has {left.whole / _MIB:,.1f} MiB; {left.free / _MIB:,.1f} MiB of them are "
            "free and will be used again."
        )
    return ExitCode.DONE


@ledger.command(epilog=EPILOG, short_help="Check that a ledger is intact.")
@ledger_file_options
@click.option("--quick", is_flag=True, help="Do not compare indexes with their tables.")
@debug_option
def verify(options: ConfigOptions, *, quick: bool) -> int:
    """Check that the file of a ledger and the data in it are intact.

    The exit code is 4 if something is wrong; each finding says what to do.
    """
    place, found = options.ledger_place(), 0
    for finding in operator_store(place).verify(quick=quick):
        if not finding.count:
            click.echo(f"ok    {finding.sound}")
            continue
        found += 1
        click.echo(f"FAIL  {finding.meaning}: {finding.count:,}; {finding.advice}")
    if found:
        say(f"dispatcher: ledger {place}: {plural(found, 'problem')} found")
        return ExitCode.LEDGER
    click.echo(f"Ledger {place} is intact.")
    return ExitCode.DONE


@ledger.command(epilog=EPILOG, short_help="Copy a ledger, also during a run.")
@click.argument("target", type=FILE)
@ledger_file_options
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@progress_option
@debug_option
def backup(options: ConfigOptions, *, target: Path, force: bool, progress: bool | None) -> int:
    """Copy the ledger as it is at one moment to the file TARGET, and verify the copy.

    Only its owner can read the copy. It gets its name when it is complete.
    """
    place = options.ledger_place()
    with _show_progress("copying", progress=progress) as report:
        found = back_up_file(place, target, overwrite=force, report=report)
    size = target.stat().st_size / _MIB
    click.echo(f"Ledger {place} was copied to {target} ({size:,.1f} MiB).")
    for finding in found:
        click.echo(f"FAIL  {finding.meaning}: {finding.count:,}; {finding.advice}")
    return ExitCode.LEDGER if found else ExitCode.DONE


@ledger.command(epilog=EPILOG, short_help="Erase one person on request.")
@click.argument("contact", required=False)
@click.option("--external-contact", metavar="ID", help="The person's external contact id.")
@ledger_file_options
@click.option("--campaign", help="The campaign of CONTACT, if different people have its key.")
@progress_option
@debug_option
def forget(
    options: ConfigOptions,
    *,
    contact: str | None,
    external_contact: str | None,
    campaign: str | None,
    progress: bool | None,
) -> int:
    """Erase one person from all campaigns of the ledger.

    CONTACT is a contact's key, or the id of a conversation. Contacts that were not sent yet are
    skipped. Everything that identifies the person is removed; hashes of keys and ids stay, so
    that the person never becomes a new contact again. The exit code is 4 if a send to the person
    is still in progress, or if something still contains what was erased.
    """
    if (contact is None) == (external_contact is None):
        raise click.UsageError("name either CONTACT or --external-contact ID")
    place = options.ledger_place()
    target = ErasureTarget(contact or external_contact or "", contact is None, campaign)
    with _exclusive_use(place, "forget"), _show_progress("looking", progress=progress) as report:
        forgotten = operator_store(place).tend(target, report)
    return _report_erasure(place, target, forgotten)


@ledger.command(epilog=EPILOG, short_help="Accept a ledger that is a copy.")
@ledger_file_options
@debug_option
def adopt(options: ConfigOptions) -> int:
    """Accept a ledger that is a copy: a backup, a moved file or a restored one.

    Use it only if the other file is lost or will never be used again. The copy does not have the
    messages that were sent after it was made: they are sent again unless you remove these people
    from the source.
    """
    place = options.ledger_place()
    with _exclusive_use(place, "adopt"):
        adopted = adopt_file(place)
    if adopted is None:
        click.echo(f"Ledger {place} is not a copy: nothing was changed.")
    else:
        click.echo(f"Ledger {place} was adopted: {adopted}.")
    return ExitCode.DONE


@ledger.command(epilog=EPILOG, short_help="Record that a database was restored.")
@ledger_file_options
@debug_option
def restored(options: ConfigOptions) -> int:
    """Record that the database of a ledger was restored to an earlier moment.

    Use it after a restore and before the first run: what was sent since that moment is not in the
    ledger. From then on each run refuses it, until one is started with --adopt.
    """
    place = options.ledger_place()
    with _exclusive_use(place, "restored"):
        record_restored(place)
    click.echo(
        f"Ledger {place} is recorded as restored: runs refuse it. Take the people out of the "
        "source who got a message since that moment, then start one run with --adopt."
    )
    return ExitCode.DONE


ledger.add_command(copy)


@ledger.command(epilog=EPILOG, short_help="Bring the tables in a database to this version.")
@ledger_file_options
@debug_option
def migrate(options: ConfigOptions) -> int:
    """Bring the tables of a ledger in a database to the version of this dispatcher.

    An empty database becomes a ledger. End all runs on it before, unless the schema has its version
    already: then only functions are replaced. Its user must own the schema `dispatcher`, or be
    permitted to create it; runs need less, see docs/ledger-postgres.md.
    """
    place = options.ledger_place()
    before, after, has_new_functions = migrate_ledger(place)
    if before != after:
        click.echo(f"Ledger {place} was brought from schema {before} to {after}.")
    elif has_new_functions:
        click.echo(f"Ledger {place} has the schema {after} already: its functions were replaced.")
    else:
        click.echo(f"Ledger {place} has the schema {after} already: nothing was changed.")
    return ExitCode.DONE


def _report_erasure(place: LedgerPlace, target: ErasureTarget, forgotten: ErasureReport) -> int:
    if forgotten.known_before:
        click.echo("Nothing is left to erase: the ledger has only a hash of it.")
        return _report_left_over(place, forgotten)
    if not (forgotten.contacts or forgotten.rejected or forgotten.refused):
        other = "" if target.is_external else ", or name the person with --external-contact"
        raise LedgerError(
            f"ledger {place}: nothing in it names {target.name!r}; check the key or the id{other}"
        )
    click.echo(
        f"{plural(forgotten.contacts, 'contact')} and "
        f"{plural(forgotten.rejected, 'rejected row')} were erased."
    )
    return _report_left_over(place, forgotten)


def _report_left_over(place: LedgerPlace, forgotten: ErasureReport) -> int:
    """Say what was not erased, and why; return the exit code."""
    for contact in forgotten.refused:
        say(
            f"dispatcher: contact {contact.id} of campaign {contact.campaign} was kept: "
            f"{contact.why}"
        )
    if forgotten.in_log:
        say(
            f"dispatcher: ledger {place}: another program reads it, so its log still contains what "
            "was erased; close that program and run this command again"
        )
    if forgotten.not_vacuumed:
        say(
            f"dispatcher: ledger {place}: this user may not vacuum the tables, so old versions of "
            "rows still contain what was erased; run this command again as the role that owns "
            f"them, or let it execute VACUUM (ANALYZE) {', '.join(forgotten.not_vacuumed)}"
        )
    left = forgotten.in_log or forgotten.refused or forgotten.not_vacuumed
    return ExitCode.LEDGER if left else ExitCode.DONE


@contextmanager
def _exclusive_use(place: LedgerPlace, command: str) -> Iterator[None]:
    """Say what to do if a dispatcher uses the ledger."""
    try:
        yield
    except LedgerLockedError as error:
        raise LedgerError(
            f"ledger {place}: a dispatcher (pid {error.holder}) uses it; stop it, run "
            f"`dispatcher ledger {command}` again, and start it again"
        ) from None


def _age(text: str) -> float:
    """Return an age such as 90d in seconds."""
    match = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if match is None:
        raise click.BadParameter(
            f"{text!r} is not an age; write 90d, 12w or 36h", param_hint="--older-than"
        )
    age = int(match[1]) * _UNITS[match[2]]
    if age < _YOUNGEST:
        raise click.BadParameter(
            "contacts younger than 1d may still be needed to resolve a send in doubt",
            param_hint="--older-than",
        )
    return age


@contextmanager
def _show_progress(name: str, *, progress: bool | None) -> Iterator[ReportProgress]:
    """Yield the function that shows how much is done."""
    with show_counts(name, live=progress) as show:
        yield lambda done, total: show((done, total))
