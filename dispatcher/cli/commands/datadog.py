"""``dispatcher datadog``: check the assets for Datadog, and create or update them there."""

import os
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import click

from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.formatting import plural
from dispatcher.cli.lazy_group import LazyGroup
from dispatcher.cli.options import FILE, debug_option
from dispatcher.domain.errors import DispatcherError, ExitCode, list_mistakes
from dispatcher.telemetry.datadog_assets.api import DatadogApi, DatadogApiError
from dispatcher.telemetry.datadog_assets.applying import Applied, apply_plans
from dispatcher.telemetry.datadog_assets.bundle import FOLDER, AssetsError, Bundle, read_bundle
from dispatcher.telemetry.datadog_assets.plan import Action, count_actions, count_changes
from dispatcher.telemetry.datadog_assets.planning import KINDS, Planner, Plans
from dispatcher.telemetry.datadog_assets.rendering import Choices
from dispatcher.telemetry.datadog_assets.sites import api_url, site_url
from dispatcher.telemetry.datadog_assets.validation import validate as find_mistakes

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_TAG_VALUE = re.compile(r"[a-z0-9_./:-]+")
FOLDER_ARGUMENT = click.Path(file_okay=False, path_type=Path)


class DatadogUsageError(DispatcherError):
    """A key or an answer is missing that `dispatcher datadog apply` needs."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


def _tag_value(_ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value and not _TAG_VALUE.fullmatch(value):
        raise click.BadParameter(
            "a value of a tag has only lower-case letters, digits and _ . / : - in Datadog",
            param=param,
        )
    return value


@click.group(cls=LazyGroup)  # which lists its commands in this order
def datadog() -> None:
    """Check monitors, dashboard and further assets, and apply them to your Datadog account."""


@datadog.command(epilog=EPILOG)
@click.argument("folder", type=FOLDER_ARGUMENT, required=False)
@click.option(
    "--runbook",
    type=FILE,
    help="The runbook whose sections the monitors link to (default: docs/runbook.md of a clone).",
)
@debug_option
def validate(folder: Path | None, *, runbook: Path | None) -> int:
    """Check the assets in FOLDER, by default the installed ones, without a connection.

    Every file must fit the models of Datadog's official API client; every query must use metrics
    and tags that the dispatcher sends; every monitor must link its section of the runbook.

    \b
    Examples:
      dispatcher datadog validate
      dispatcher datadog validate config/datadog
    """
    bundle = read_bundle(folder or FOLDER)
    _refuse_mistakes(bundle, runbook)
    click.echo(
        f"{bundle.folder}: no mistakes in {plural(len(bundle.monitors), 'monitor')}, the "
        f"dashboard, {plural(len(bundle.metadata), 'metric')}, the log pipeline, "
        f"{plural(len(bundle.saved_views), 'saved view')} and the service check."
    )
    return ExitCode.DONE


@datadog.command(epilog=EPILOG)
@click.argument("folder", type=FOLDER_ARGUMENT, required=False)
@click.option("--notify", default="", help='Handles for each monitor: "@pagerduty-x @slack-y".')
@click.option("--runbook-url", default="docs/runbook.md", show_default=True, help="Your runbook.")
@click.option("--dashboard-url", default="", help="Linked instead of the dashboard made here.")
@click.option(
    "--env",
    default="",
    callback=_tag_value,
    help="Only this environment: a set of assets of its own.",
)
@click.option(
    "--service",
    default="",
    callback=_tag_value,
    help="Only this service (DD_SERVICE): a set of its own.",
)
@click.option("--only", type=click.Choice(KINDS), multiple=True, help="Only these assets.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before changes are made.")
@click.option("--api-url", default="", help="The API's address, if it is not that of DD_SITE.")
@debug_option
def apply(  # noqa: PLR0913 - one parameter for each option
    folder: Path | None,
    *,
    notify: str,
    runbook_url: str,
    dashboard_url: str,
    env: str,
    service: str,
    only: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    api_url: str,
) -> int:
    """Create the assets in Datadog, and update those that differ from their files.

    First the plan is shown, then you are asked. A second run changes nothing: assets are found by
    the tags managed_by:dispatcher and dispatcher_monitor:NAME, the dashboard by its description,
    the log pipeline by its name and the first tag. Nothing is ever deleted.

    The keys are read from DD_API_KEY and DD_APP_KEY, the site from DD_SITE (datadoghq.com), a proxy
    from DD_PROXY_HTTPS.

    \b
    Examples:
      dispatcher datadog apply --dry-run
      dispatcher datadog apply --notify @pagerduty-contact-centre --env production
    """
    bundle = read_bundle(folder or FOLDER)
    _refuse_mistakes(bundle, None)
    choices = Choices(notify, runbook_url, dashboard_url, env, service)
    with closing(_connect(api_url)) as api:
        planner = Planner(api, bundle, choices, site_url(os.environ.get("DD_SITE", "")))
        plans = planner.plans(only or KINDS, say)
        _show(plans)
        for name in planner.obsolete_monitors() if "monitors" in plans else ():
            click.echo(f"no file has this monitor any more, delete it yourself: {name}")
        if dry_run or not count_changes(plans):
            return ExitCode.DONE
        if not (yes or _confirmed()):
            click.echo("Nothing was changed.")
            return ExitCode.DONE
        return _apply(planner, plans)


def _refuse_mistakes(bundle: Bundle, runbook: Path | None) -> None:
    if mistakes := list(find_mistakes(bundle, runbook)):
        raise AssetsError(f"{bundle.folder}: {list_mistakes(mistakes)}")


def _connect(url: str) -> DatadogApi:
    keys = {name: os.environ.get(name, "").strip() for name in ("DD_API_KEY", "DD_APP_KEY")}
    if missing := [name for name, value in keys.items() if not value]:
        raise DatadogUsageError(
            f"{' and '.join(missing)} must be set: keys of your Datadog organization (Organization "
            "Settings, API Keys and Application Keys)"
        )
    # The client would quote such a key, and would refuse such an address without its name.
    if odd := [name for name, value in keys.items() if not _KEY.fullmatch(value)]:
        raise DatadogUsageError(
            f"{' and '.join(odd)} must have only letters, digits and - _: copy it again"
        )
    site, proxy = os.environ.get("DD_SITE", ""), os.environ.get("DD_PROXY_HTTPS", "")
    if site and not _HOST.fullmatch(site):
        raise DatadogUsageError(f"DD_SITE is {site!r}: it must be a site such as datadoghq.eu")
    for name, address in (("--api-url", url), ("DD_PROXY_HTTPS", proxy)):
        if address and not address.startswith(("http://", "https://")):
            raise DatadogUsageError(f"{name} must be http://HOST:PORT or https://HOST:PORT")
    return DatadogApi(url or api_url(site), *keys.values(), proxy=proxy or None, say=say)


def _show(plans: Plans) -> None:
    steps = [step for planned in plans.values() for step in planned]
    for step in steps:
        if step.action is not Action.KEEP:
            click.echo(str(step))
    numbers = count_actions(steps)
    click.echo(f"Plan: {', '.join(f'{number} to {action}' for action, number in numbers.items())}.")
    if Action.WAIT in numbers:
        click.echo("To wait: Datadog knows a metric after the first run. Apply again after it.")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise DatadogUsageError("nothing was changed: add --yes to apply the plan without asking")
    return click.confirm("Apply this plan?")


def _apply(planner: Planner, plans: Plans) -> int:
    """Apply the plans, and say what was done, however it ends."""
    applied = Applied()
    try:
        apply_plans(planner, plans, applied, say)
    except DatadogApiError as error:
        applied.failed.append(str(error))
    finally:
        done = applied.created + applied.updated
        left = max(0, count_changes(plans) - done)  # monitors may link a new dashboard only now
        rest = f", {left} of the plan not done" if left else ""
        click.echo(f"{applied.created} created, {applied.updated} updated{rest}.")
    if applied.failed:
        several = len(applied.failed) > 1
        raise DatadogApiError(list_mistakes(applied.failed) if several else applied.failed[0])
    return ExitCode.DONE
