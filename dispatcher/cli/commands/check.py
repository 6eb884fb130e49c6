"""``dispatcher check``: everything that is wrong with a configuration, at once."""

import click

from dispatcher import app
from dispatcher.cli.config import SettingsOptions, settings_options
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.options import debug_option
from dispatcher.domain.errors import ExitCode
from dispatcher.settings import warnings


@click.command(epilog=EPILOG)
@settings_options
@click.option("--online", is_flag=True, help="Also ask for a token, its scopes, and the platform.")
@click.option("--show", is_flag=True, help="Print every setting, and where it was set.")
@debug_option
def check(options: SettingsOptions, *, online: bool, show: bool) -> int:
    """Report everything that is wrong with a configuration, at once.

    Each mistake is named with the file and line, environment variable or option where it was
    made. Without --online nothing leaves this machine; with it a token is requested, and no
    message is sent.
    """
    settings = options.load_settings(purpose="check")
    app.make_agent(settings)
    for warning in warnings(settings):
        say(f"warning: {warning}")
    if show:
        click.echo(settings.describe())
    campaigns = "campaigns" if len(settings.campaigns) > 1 else "campaign"
    click.echo(f"The configuration of {campaigns} {settings.title} is fine.")
    for line in app.describe_lists(settings):
        click.echo(line)
    if not online:
        return ExitCode.DONE
    findings = app.check_online(settings)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    return ExitCode.DONE if all(finding.ok for finding in findings) else ExitCode.PLATFORM
