"""The group of all commands. A command's module is imported when the command is used."""

import click

from dispatcher import __version__
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.lazy_group import LazyGroup
from dispatcher.cli.options import debug_option

COMMANDS = {
    "demo": ("demo:demo", "Try it: 2,000 contacts with a local sandbox."),
    "init": ("init:init", "Write a first configuration and a few contacts."),
    "run": ("run:run", "Send to every contact of the source."),
    "check": ("check:check", "Check a configuration, and report all mistakes."),
    "config": ("config:config", "Print the schema of dispatcher.toml, for editors."),
    "status": ("status:status", "Show the status of a campaign."),
    "top": ("top:top", "Watch a running dispatcher live: pause, resume and drain with keys."),
    "plan": ("plan:plan", "Dry run: report what a run would do, and send nothing."),
    "preview": (
        "preview:preview",
        "Show the messages that a run would send, or send one to yourself.",
    ),
    "lineage": ("lineage:lineage", "Which conversation continues which: export it, verify it."),
    "parked": (
        "parked:parked",
        "Dead letters: list, replay or drop parked contacts.",
    ),
    "rejected": (
        "rejected:rejected",
        "Export rows that could not become contacts, or replay contacts that were refused.",
    ),
    "pause": ("pause:pause", "Pause a campaign: it begins no contact."),
    "resume": ("pause:resume", "Resume a paused campaign."),
    "explain": ("explain:explain", "Show the whole history of one contact."),
    "ledger": ("ledger:ledger", "Prune, verify or copy a ledger, or forget a person."),
    "datadog": ("datadog:datadog", "Check the assets for Datadog, and apply them."),
    "sandbox": ("sandbox:sandbox", "Run a local platform for tests."),
    "completion": ("completion:completion", "Print the completion script of a shell."),
}
"""For each command, in the order of use: module and attribute below ``commands``, short help."""


@click.group(
    cls=LazyGroup,
    lazy_subcommands={
        name: (f"dispatcher.cli.commands.{place}", text) for name, (place, text) in COMMANDS.items()
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, package_name="dispatcher", message="dispatcher %(version)s")
@debug_option
def cli() -> None:
    """Send one message to every person whose web-messaging session ended.

    The dispatcher reads contacts from a file and the state of each session from the platform. It
    sends into open sessions, and opens a linked conversation for ended ones. With its ledger nobody
    gets two messages, and no contact is lost.

    \b
    Start here:
      dispatcher demo                                try it with a local sandbox
      dispatcher init                                write a first dispatcher.toml
      dispatcher check --config dispatcher.toml      show all mistakes in a configuration
      dispatcher check --config dispatcher.toml --online
      dispatcher plan --config dispatcher.toml       dry run: what a run would do
      dispatcher preview --config dispatcher.toml    the messages that it would send
      dispatcher run --config dispatcher.toml --once --limit 10
      dispatcher run --config dispatcher.toml
      dispatcher status --config dispatcher.toml
      dispatcher top --config dispatcher.toml
      dispatcher explain CONTACT --config dispatcher.toml

    \b
    Client id and secret are read from the environment, or from the place that [credentials] sets:
      DISPATCHER_CLIENT_ID, DISPATCHER_CLIENT_SECRET
    """
