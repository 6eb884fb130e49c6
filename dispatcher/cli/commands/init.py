"""``dispatcher init``: a first configuration, with comments or from five answers."""

import os
import sys
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from dispatcher.app import source_check
from dispatcher.cli.bundled_files import DATA
from dispatcher.cli.config import option_group
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.first_config import CONTACTS, SANDBOX_URL, Answers
from dispatcher.cli.options import FILE, debug_option
from dispatcher.domain.errors import ExitCode, list_mistakes
from dispatcher.domain.loopback import is_loopback
from dispatcher.ports import SourceError
from dispatcher.settings import Settings, SettingsError, load
from dispatcher.settings.value_sources import ENVIRONMENT
from dispatcher.sources.options import MEANINGS

FILES = ("dispatcher.toml", CONTACTS)
"""The files that are written."""
_CONFIG = FILES[0]
_MOST_TRIES = 10
_SECRETS = ("DISPATCHER_CLIENT_ID", "DISPATCHER_CLIENT_SECRET")


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """The answers that options give; None: not given."""

    platform_url: str | None
    region: str | None
    from_address: str | None
    campaign: str | None
    contacts: Path | None
    columns: tuple[str, ...]
    text: str | None
    credentials: str | None


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@option_group(
    InitOptions,
    click.option("--platform-url", help="The platform's address; by default that of the sandbox."),
    click.option("--region", help="A region of Genesys Cloud in place of an address."),
    click.option("--from-address", help="With --region: the id of the messenger deployment."),
    click.option("--campaign", help="The campaign's name."),
    click.option("--contacts", type=FILE, help="The file of contacts; its columns are recognised."),
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="MEANING=NAME",
        help="A column with another name, such as conversation_id=CONV; can be repeated.",
    ),
    click.option("--text", help="The message; {column} is replaced by the column's value."),
    click.option(
        "--credentials",
        metavar="PLACE",
        help=(
            "env (the default), a folder with the files client_id and client_secret, vault:PATH "
            "or aws:SECRET."
        ),
    ),
)
@click.option("--ask", is_flag=True, help="Ask the five questions, also if FOLDER is named.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@debug_option
def init(options: InitOptions, *, folder: Path | None, ask: bool, force: bool) -> int:
    """Write a first configuration into FOLDER (here by default), and check it.

    With options it is the shortest one that works. At a terminal, without options and FOLDER, five
    questions are asked. Otherwise it is one with comments, beside a few contacts; as they are,
    they work with the local sandbox. Nothing is overwritten without --force.

    \b
    Examples:
      dispatcher init
      dispatcher init cart-campaign
      dispatcher init cart-campaign --contacts export.csv --text "Hello {first_name|there}!"
    """
    flags = any(value for value in vars(options).values())
    questions = ask or (folder is None and not flags and _is_terminal())
    folder = folder or Path()
    if not flags and not questions:
        _write(folder, {name: (DATA / "starter" / name).read_bytes() for name in FILES}, force)
        click.echo(_starter_steps(folder))
        return ExitCode.DONE
    answers = _answers(options, folder)
    if questions:
        _refuse_existing([folder / _CONFIG], force)
        answers = _ask(answers, folder)
    return _first_config(folder, answers, force)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _write(folder: Path, contents: Mapping[str, bytes], force: bool) -> None:  # noqa: FBT001 - the flag
    """Write files into a folder, which is made if it does not exist."""
    _refuse_existing([folder / name for name in contents], force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            click.echo(f"{folder / name} was written.")
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be written to: {error.strerror}") from error


def _refuse_existing(targets: list[Path], force: bool) -> None:  # noqa: FBT001 - the flag
    existing = ", ".join(str(target) for target in targets if target.exists())
    if existing and not force:
        raise click.UsageError(
            f"{existing}: already exists; name another folder, or add --force to overwrite"
        )


def _answers(options: InitOptions, folder: Path) -> Answers:
    """Return the answers that the options give, and the defaults for all others."""
    if options.region and options.platform_url:
        raise click.UsageError("--region and --platform-url cannot be used together")
    if options.region and not options.from_address:
        raise click.UsageError("--region needs --from-address: the id of the messenger deployment")
    values: dict[str, Any] = {
        "platform": options.region or options.platform_url,
        "from_address": options.from_address,
        "campaign": options.campaign or folder.name,
        "contacts": options.contacts and _from(folder, options.contacts),
        "text": options.text,
        "credentials": options.credentials and _place(folder, options.credentials),
        "columns": dict(map(_column, options.columns)),
    }
    return replace(Answers(), **{key: value for key, value in values.items() if value})


def _column(text: str) -> tuple[str, str]:
    meaning, _, name = text.partition("=")
    if meaning not in MEANINGS or not name:
        raise click.UsageError(f"--column {text}: write MEANING=NAME with one of {MEANINGS}")
    return meaning, name


def _from(folder: Path, path: Path) -> str:
    """Return a path as it is written in the configuration: a run starts in its folder."""
    return str(path) if path.is_absolute() else os.path.relpath(path, folder)


def _place(folder: Path, place: str) -> str:
    is_folder = place != "env" and not place.startswith(("vault:", "aws:"))
    return _from(folder, Path(place)) if is_folder else place


def _ask(answers: Answers, folder: Path) -> Answers:
    """Ask the five questions."""
    click.echo("Five questions; Enter takes the answer in brackets.\n")
    platform = click.prompt("1. The platform: a URL, or a region of Genesys Cloud", SANDBOX_URL)
    answers = replace(answers, platform=platform)
    if answers.is_genesys:
        sender = click.prompt("   The id of the messenger deployment")
        answers = replace(answers, from_address=sender)
    campaign = click.prompt("2. The campaign's name", answers.campaign)
    while True:
        contacts = Path(click.prompt("3. The file of contacts", answers.contacts))
        if contacts.is_file() or str(contacts) == CONTACTS:
            break
        click.echo(f"   {contacts} is not a file.")
    text = click.prompt("4. The message; {column} is replaced by the column's value", answers.text)
    place = click.prompt(
        "5. The credentials: env, a folder, vault:PATH or aws:SECRET", answers.credentials
    )
    click.echo()
    return replace(
        answers,
        campaign=campaign,
        contacts=_from(folder, contacts) if contacts.is_file() else str(contacts),
        text=text,
        credentials=_place(folder, place),
    )


def _first_config(folder: Path, answers: Answers, force: bool) -> int:  # noqa: FBT001 - the flag
    """Write the configuration of these answers, recognise the columns, and check all."""
    needs_contacts = answers.contacts == CONTACTS and not (folder / CONTACTS).exists()
    example = {CONTACTS: (DATA / "starter" / CONTACTS).read_bytes()} if needs_contacts else {}
    _write(folder, {_CONFIG: answers.toml().encode(), **example}, force)
    with chdir(folder):
        known, unset = _recognise(answers)
        Path(_CONFIG).write_text(known.toml(), encoding="utf-8")
        for meaning, name in known.columns.items():
            click.echo(f"column {name}: {meaning}")
        for kind, names in known.left_out.items():
            wanted = "without a yes" if kind == "consent" else "with a yes"
            click.echo(f"column {', '.join(names)}: people {wanted} get no message")
        _check(unset)
    click.echo(_next_steps(folder, answers, unset))
    return ExitCode.DONE


def _recognise(answers: Answers) -> tuple[Answers, list[str]]:
    """Return the answers with the columns that are recognised, and the variables not set yet."""
    for _ in range(_MOST_TRIES):
        unset = _unset_variables()
        problems = source_check.column_problems(_load(unset))
        improved = answers.with_columns(problems)
        if improved == answers:
            break
        answers = improved
        Path(_CONFIG).write_text(answers.toml(), encoding="utf-8")
    return answers, unset


def _unset_variables() -> list[str]:
    """Return the variables that are missing, which is no mistake of the configuration."""
    try:
        load(Path(_CONFIG), env=os.environ, purpose="check")
    except SettingsError as error:
        return [p.key for p in error.mistakes if p.where == ENVIRONMENT.where]
    return []


def _load(unset: list[str]) -> Settings:
    return load(Path(_CONFIG), env={**os.environ, **dict.fromkeys(unset, "unset")}, purpose="check")


def _check(unset: list[str]) -> None:
    """Check the configuration as `dispatcher check` does."""
    settings = _load(unset)
    if problems := source_check.column_problems(settings):
        raise SourceError(list_mistakes(problems))
    click.echo(f"The configuration of campaign {settings.title} is fine.")


def _starter_steps(folder: Path) -> str:
    enter = [] if folder == Path() else [f"cd {folder}"]
    commands = (
        *enter,
        "dispatcher sandbox --scenario plain      # in a second terminal: the local platform",
        "export DISPATCHER_CLIENT_ID=sandbox-client DISPATCHER_CLIENT_SECRET=sandbox-secret",
        "dispatcher check --online                # preflight check",
        "dispatcher preview                       # shows the messages",
        "dispatcher plan                          # dry run, sends nothing",
        "dispatcher run --once",
    )
    return "\n".join(["", "Next:", *(f"  {command}" for command in commands)])


def _next_steps(folder: Path, answers: Answers, unset: list[str]) -> str:
    """Return the commands that come next, the first of which is enough to go on."""
    enter = [] if folder == Path() else [f"cd {folder}"]
    host = answers.platform.partition("://")[2].partition(":")[0]
    is_local = not answers.is_genesys and is_loopback(host)
    values = ("sandbox-client", "sandbox-secret") if is_local else ("...", "...")
    known = dict(zip(_SECRETS, values, strict=True))
    exports = " ".join(f"{name}={known.get(name, '...')}" for name in unset)
    commands = (
        *enter,
        *([f"export {exports}"] if unset else []),
        "dispatcher check --online                # is the platform there, and all scopes?",
        "dispatcher run --once --limit 1          # the first message",
    )
    return "\n".join(["", "Next:", *(f"  {command}" for command in commands)])
