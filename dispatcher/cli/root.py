"""The commands and their options. What they do is imported when it is done: help is quick."""

from pathlib import Path
from typing import Any

import click

from dispatcher import __version__
from dispatcher.cli import hand, options
from dispatcher.cli.commands_lineage import lineage
from dispatcher.cli.commands_plan import plan
from dispatcher.cli.exit_codes import epilog
from dispatcher.cli.lazy_group import Commands
from dispatcher.cli.ledger_commands import ledger

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Commands, context_settings=CONTEXT, epilog=epilog())
@click.version_option(__version__, package_name="dispatcher", message="dispatcher %(version)s")
@options.debug
def cli() -> None:
    """Write once to every person whose web-messaging session ended.

    The dispatcher reads contacts from a file, asks the platform for the state of each session,
    sends into the open ones, opens a linked conversation for the closed ones, and keeps a ledger
    so that nobody is written to twice and nobody is lost.

    \b
    Start here:
      dispatcher demo                                see it work, on a local sandbox
      dispatcher check --config dispatcher.toml      everything that is wrong with a config
      dispatcher check --config dispatcher.toml --online
      dispatcher plan --config dispatcher.toml       what a run would do
      dispatcher run --config dispatcher.toml --once --limit 10
      dispatcher run --config dispatcher.toml
      dispatcher status --config dispatcher.toml
      dispatcher explain CONTACT --config dispatcher.toml

    \b
    Client id and secret are read from the environment, or from where [credentials] says:
      DISPATCHER_CLIENT_ID, DISPATCHER_CLIENT_SECRET
    """


@cli.command(short_help="See it work: 2,000 contacts on a local sandbox.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Where the demo keeps its ledger, log and contacts; an earlier demo there is replaced.",
)
@options.progress
@options.debug
def demo(folder: Path, progress: bool | None) -> None:  # noqa: FBT001 - an option with three states
    """Send 2,000 contacts through a local sandbox, and check the result against its log.

    Nothing leaves this machine. The sandbox is a process of its own that behaves like the
    platform: sessions that are open, closed, not yet ended or gone, refusals of all four kinds,
    and a rate limit. Afterwards the sandbox's log of what took effect is compared with the
    ledger, contact by contact.
    """
    from dispatcher.cli.commands.demo import run_demo  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(run_demo(folder, progress=progress))


@cli.command(epilog=epilog(), short_help="Send to every contact of the source.")
@options.config
@options.settings
@click.option(
    "--limit", type=click.IntRange(min=1), help="Take so many contacts out of the ledger, then end."
)
@click.option("--once", is_flag=True, help="End when the source and the ledger are exhausted.")
@options.wait_limit
@options.log_format
@options.progress
@options.debug
def run(**given: Any) -> None:
    """Send to every contact of the source, and to those that the ledger still holds.

    Without --once it runs until it is told to stop, and takes up what becomes due meanwhile.

    The first SIGTERM or SIGINT drains: nothing new is begun, what is in flight is settled, and
    the exit code is 0. A second one stops at once. Either way the next run goes on from there.

    \b
    Examples:
      dispatcher run --config dispatcher.toml --once
      dispatcher run --source 'exports/*.csv.gz' --campaign cart-2026-11 \\
          --platform-url https://api.example.com --once
      zcat contacts.csv.gz | dispatcher run --source - --once
      dispatcher run --set platform.requests_per_minute=600 --set engine.workers=16
    """
    from dispatcher.cli.commands.run import run_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(run_command(given))


@cli.command(epilog=epilog(), short_help="Tell everything that is wrong with a configuration.")
@options.config
@options.settings
@click.option("--online", is_flag=True, help="Also ask for a token, its scopes, and the platform.")
@click.option("--show", is_flag=True, help="Print every setting, and where it was set.")
@options.debug
def check(**given: Any) -> None:
    """Tell everything that is wrong with a configuration, at once.

    Each mistake is named with the file and line, environment variable or option where it was
    made. Without --online nothing leaves this machine; with it a token is asked for, and no
    message is sent.
    """
    from dispatcher.cli.commands.check import check_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(check_command(given))


@cli.command(epilog=epilog(), short_help="Show how a campaign stands.")
@options.config
@click.option(
    "--ledger", type=click.Path(dir_okay=False), help="The ledger, without a configuration."
)
@click.option(
    "--campaign", help="Only this campaign; without it, the one of the configuration or all."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Look again every 2 seconds, until interrupted.")
@options.debug
def status(**given: Any) -> None:
    """Show how a campaign stands: told by the dispatcher that runs, else read from the ledger.

    Contacts by status and reason, what is due and since when, halts, pauses, rates, and how long
    the contacts of the ledger take at the quota. A dispatcher that runs is not disturbed.

    \b
    Examples:
      dispatcher status --config dispatcher.toml
      dispatcher status --ledger ledger.db --json
      dispatcher status --watch
    """
    from dispatcher.cli.commands.status import status_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(status_command(given))


cli.add_command(plan)
cli.add_command(lineage)
for command in hand.COMMANDS:
    cli.add_command(command)
cli.add_command(ledger)


@cli.group(invoke_without_command=True, short_help="Serve a local platform to try things on.")
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), help="A TOML file.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=options.PORT, default=8080, show_default=True, help="0 picks one.")
@click.option("--control-port", type=options.PORT, default=0, help="0, the default, picks one.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append one JSON line for each message that takes effect.",
)
@click.option("--seed", type=int, help="Another world of the same kind; the scenario's by default.")
@click.option(
    "--dialect",
    type=click.Choice(["messaging", "genesys"]),
    help="The API that it speaks; the scenario's by default.",
)
@click.option("--ready-json", is_flag=True, help="Print the addresses as one JSON line.")
@options.debug
@click.pass_context
def sandbox(ctx: click.Context, /, **given: Any) -> None:
    """Serve a local platform that behaves like the real one, until it is stopped.

    The same seed gives the same world. Client id and secret are sandbox-client and
    sandbox-secret unless the scenario says otherwise. config/sandbox/ holds scenarios.

    \b
    Examples:
      dispatcher sandbox --scenario config/sandbox/faults.toml --log effects.jsonl
      dispatcher sandbox contacts --count 2000 --out contacts.csv
    """
    if ctx.invoked_subcommand is None:
        from dispatcher.cli.commands.sandbox import serve_command  # noqa: PLC0415 - help is quick

        raise click.exceptions.Exit(serve_command(given))


@sandbox.command()
@click.option("--count", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Take the mixture of conversations from here; half ended and half active without.",
)
@options.debug
def contacts(**given: Any) -> None:
    """Write a file of contacts whose conversations the sandbox knows."""
    from dispatcher.cli.commands.sandbox import contacts_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(contacts_command(given))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(dispatcher completion bash)"
      dispatcher completion fish > ~/.config/fish/completions/dispatcher.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - help is quick

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(cli, {}, "dispatcher", "_DISPATCHER_COMPLETE").source())
