"""``dispatcher check``: everything that is wrong with a configuration, at once."""

from collections.abc import Mapping
from typing import Any

import click

from dispatcher.cli.config import load_settings
from dispatcher.cli.exit_codes import Exit, say
from dispatcher.settings import Settings, warnings


def check_command(given: Mapping[str, Any]) -> int:
    """Check the settings, and with --online the platform; return the exit code."""
    from dispatcher import app  # noqa: PLC0415 - help is quick

    settings = load_settings(given, purpose="check")
    app.make_agent(settings)
    for warning in warnings(settings):
        say(f"warning: {warning}")
    if given["show"]:
        click.echo(settings.describe())
    campaigns = "campaigns" if len(settings.campaigns) > 1 else "campaign"
    click.echo(f"The configuration of {campaigns} {settings.title} is fine.")
    return _online(settings) if given["online"] else Exit.DONE


def _online(settings: Settings) -> int:
    from dispatcher import app  # noqa: PLC0415 - help is quick

    findings = app.check_online(settings)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}")
    return Exit.DONE if all(finding.ok for finding in findings) else Exit.PLATFORM
