"""``dispatcher check``: everything that is wrong with a configuration, at once."""

from dataclasses import replace

import click

from dispatcher import app
from dispatcher.app import source_check
from dispatcher.cli.config import CONFIGURED, SettingsOptions, check_options
from dispatcher.cli.consoles import OutputConsole
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.missing_rows import missing_in_source
from dispatcher.cli.options import debug_option
from dispatcher.cli.source_report import show_source
from dispatcher.domain.errors import ExitCode, list_mistakes
from dispatcher.ports import SourceError
from dispatcher.settings import Settings, describe, warnings


@click.command(epilog=EPILOG)
@check_options
@click.option(
    "--online", is_flag=True, help="Also request a token, and check its scopes and the platform."
)
@click.option("--show", is_flag=True, help="Print every setting, and where it was set.")
@debug_option
def check(options: SettingsOptions, *, online: bool, show: bool) -> int:
    """Check a configuration, and report all mistakes together.

    Each mistake is reported with its place: file and line, environment variable or option. The
    columns of the source's files are checked, too, and with --source all of their rows. Without
    --online no request is made. With it a token is requested, and no message is sent.
    """
    reads_source = options.source is not None
    if options.source == CONFIGURED:
        options = replace(options, source=None)
    settings = options.load_settings(purpose="check")
    app.make_agent(settings)
    app.trace_endpoint(settings)
    for warning in warnings(settings):
        say(f"warning: {warning}")
    if show:
        click.echo(describe(settings))
    if problems := source_check.column_problems(settings):
        raise SourceError(list_mistakes(problems))
    campaigns = "campaigns" if len(settings.campaigns) > 1 else "campaign"
    click.echo(f"The configuration of {campaigns} {settings.title} is fine.")
    for line in app.describe_lists(settings):
        click.echo(line)
    missing = _check_sources(settings) if reads_source else []
    for line in missing:
        say(line)
    ending = ExitCode.NO_ROWS if missing else ExitCode.DONE
    if not online:
        return ending
    findings = app.check_online(settings)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    return ending if all(finding.ok for finding in findings) else ExitCode.PLATFORM


def _check_sources(settings: Settings) -> list[str]:
    """Show what each source has, and return of each without a good row what is wrong with it."""
    console, problems, missing = OutputConsole(), list[str](), list[str]()
    for campaign in settings.campaigns:
        view = settings.only(campaign)
        report = source_check.check_source(view)
        show_source(console, view.campaign, report)
        problems += [report.list_problem] if report.list_problem else []
        if words := missing_in_source(report):
            missing.append(f"campaign {campaign.name}: {words}")
    if problems:
        raise SourceError(list_mistakes([*problems, *missing]))
    return missing
