"""``dispatcher sandbox``: the local platform, and files of contacts that it knows."""

import asyncio
import json
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from dispatcher.cli.exit_codes import Exit
from dispatcher.sandbox.contact_files import write_contacts
from dispatcher.sandbox.scenario.scenario import Scenario, load
from dispatcher.sandbox.server import serve


def serve_command(given: Mapping[str, Any]) -> int:
    """Serve until SIGTERM, SIGINT or a shutdown over the control port."""
    scenario = _scenario(given)
    if given["seed"] is not None:
        scenario = replace(scenario, seed=given["seed"])
    if given["dialect"] is not None:
        scenario = replace(scenario, dialect=given["dialect"])
    try:
        _run(scenario, given)
    except OSError as error:
        raise click.UsageError(f"the sandbox cannot serve: {error}") from error
    return Exit.DONE


def contacts_command(given: Mapping[str, Any]) -> int:
    """Write a file of contacts."""
    shares = dict(_scenario(given).world.shares)
    try:
        written = write_contacts(
            given["out"], count=given["count"], shares=shares, seed=given["seed"]
        )
    except OSError as error:
        raise click.UsageError(f"{given['out']} cannot be written: {error.strerror}") from error
    click.echo(f"{given['out']}: {given['count']:,} contacts")
    for kind, number in written.most_common():
        click.echo(f"  {number:>8,}  {kind}")
    return Exit.DONE


def _scenario(given: Mapping[str, Any]) -> Scenario:
    return load(given["scenario"]) if given["scenario"] else Scenario()


def _run(scenario: Scenario, given: Mapping[str, Any]) -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(_serve(scenario, given))
    else:
        uvloop.run(_serve(scenario, given))


async def _serve(scenario: Scenario, given: Mapping[str, Any]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(
        scenario,
        host=given["host"],
        port=given["port"],
        control_port=given["control_port"],
        log_path=given["log"],
        on_ready=lambda port, control: _ready(given, scenario, port, control),
        stop=stop,
    )


def _ready(given: Mapping[str, Any], scenario: Scenario, port: int, control_port: int) -> None:
    host = f"[{given['host']}]" if ":" in given["host"] else given["host"]
    url, control = f"http://{host}:{port}", f"http://{host}:{control_port}"
    if given["ready_json"]:
        ready = {"ready": True, "url": url, "control_url": control, "seed": scenario.seed}
        click.echo(json.dumps(ready))
        return
    click.echo(f"platform  {url}")
    click.echo(f"control   {control}/sandbox/counts")
    click.echo(f"log       {given['log'] or 'none; --log FILE writes one'}")
    click.echo(f"ready, with seed {scenario.seed}; Ctrl-C stops it")
