"""``dispatcher sandbox``: the local platform, and files of contacts that it knows."""

import asyncio
import json
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import click

from dispatcher.cli.bundled_files import DATA, ScenarioParameter
from dispatcher.cli.config import option_group
from dispatcher.cli.options import FILE, PORT, debug_option
from dispatcher.domain.errors import DispatcherError, ExitCode, list_mistakes
from dispatcher.sandbox.contact_files import write_contacts
from dispatcher.sandbox.curl_lines import curl_lines, token_line
from dispatcher.sandbox.scenario.scenario import Scenario, ScenarioError, load
from dispatcher.sandbox.scenario.value_types import DialectName
from dispatcher.sandbox.server import Sandbox


class ScenarioFileError(DispatcherError):
    """The scenario's file is wrong; the message names every mistake."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """Options of ``dispatcher sandbox``."""

    scenario: Path | None
    host: str
    port: int
    control_port: int
    log: Path | None
    seed: int | None
    dialect: DialectName | None
    ready_json: bool


@click.group(invoke_without_command=True)
@click.option(
    "--scenario", type=ScenarioParameter(), help="A TOML file, or a bundled one by its name."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8080, show_default=True, help="0: a free port.")
@click.option("--control-port", type=PORT, default=0, help="0, the default: a free port.")
@click.option("--log", type=FILE, help="Append one JSON line for each message that takes effect.")
@click.option(
    "--seed", type=int, help="The seed of all random values; by default that of the scenario."
)
@click.option(
    "--dialect",
    type=click.Choice(["messaging", "genesys"]),
    help="The API that it simulates; by default that of the scenario.",
)
@click.option("--ready-json", is_flag=True, help="Print the addresses as one JSON line.")
@debug_option
@option_group(SandboxOptions)
def sandbox(options: SandboxOptions) -> int | None:
    """Run a local platform that simulates the real one, until it is stopped.

    With the same seed it behaves in the same way. Client id and secret are sandbox-client and
    sandbox-secret unless the scenario sets others. Bundled scenarios can be used by their names,
    such as demo, plain, faults and genesys; the error for a wrong name lists all of them.

    \b
    Examples:
      dispatcher sandbox --scenario demo
      dispatcher sandbox --scenario faults --log effects.jsonl
      dispatcher sandbox contacts --count 2000 --out contacts.csv
    """
    if click.get_current_context().invoked_subcommand is not None:
        return None
    scenario = _load(options.scenario)
    if options.seed is not None:
        scenario = replace(scenario, seed=options.seed)
    if options.dialect is not None:
        scenario = replace(scenario, dialect=options.dialect)
    try:
        _run(scenario, options)
    except OSError as error:
        raise click.UsageError(f"the sandbox cannot serve: {error}") from error
    return ExitCode.DONE


@sandbox.command()
@click.option("--count", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--out", type=FILE, required=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--scenario",
    type=ScenarioParameter(),
    help="The scenario with the shares of kinds; without it half are ended and half active.",
)
@click.option(
    "--with-sessions",
    is_flag=True,
    help="Add address, session_status and session_ended_at, as an export of sessions has them.",
)
@debug_option
def contacts(
    *, count: int, out: Path, seed: int, scenario: Path | None, with_sessions: bool
) -> int:
    """Write a file of contacts whose conversations the sandbox knows."""
    shares = dict(_load(scenario).world.shares)
    try:
        written = write_contacts(
            out, count=count, shares=shares, seed=seed, with_sessions=with_sessions
        )
    except OSError as error:
        raise click.UsageError(f"{out} cannot be written: {error.strerror}") from error
    click.echo(f"{out}: {count:,} contact{'s' if count != 1 else ''}")
    for kind, number in written.most_common():
        click.echo(f"  {number:>8,}  {kind}")
    return ExitCode.DONE


def _load(path: Path | None) -> Scenario:
    """Load a scenario; the sandbox imports nothing of the dispatcher, so its error is replaced."""
    try:
        return load(path) if path is not None else Scenario()
    except ScenarioError as error:
        raise ScenarioFileError(list_mistakes(error.mistakes)) from error


def _run(scenario: Scenario, options: SandboxOptions) -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(_serve(scenario, options))
    else:
        uvloop.run(_serve(scenario, options))


async def _serve(scenario: Scenario, options: SandboxOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(
        scenario,
        host=options.host,
        port=options.port,
        control_port=options.control_port,
        log_path=options.log,
        stop=stop,
    ) as running:
        _print_ready(options, scenario, running.port, running.control_port)
        await stop.wait()


def _print_ready(options: SandboxOptions, scenario: Scenario, port: int, control_port: int) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    url, control = f"http://{host}:{port}", f"http://{host}:{control_port}"
    if options.ready_json:
        ready = {"ready": True, "url": url, "control_url": control, "seed": scenario.seed}
        click.echo(json.dumps(ready))
        return
    click.echo(_welcome(options, scenario, url, control))


def _welcome(options: SandboxOptions, scenario: Scenario, url: str, control: str) -> str:
    """Return what the sandbox is, and lines that show it."""
    name = "none: a platform without faults"
    if options.scenario is not None:
        is_bundled = options.scenario.is_relative_to(DATA)
        name = options.scenario.stem if is_bundled else str(options.scenario)
    lines = [
        "A local platform for web messaging: tokens, scopes, a quota, states, sends, refusals.",
        "Nothing leaves this machine. What a conversation does follows from the first word of its",
        "id: active-1 is open, ended-1 has ended, gone-1 does not exist; see docs/sandbox.md.",
        "",
        f"platform  {url}",
        f"dialect   {scenario.dialect}; as OpenAPI: {url}/openapi.json",
        f"scenario  {name}",
        f"control   {control}/sandbox/counts",
        f"log       {options.log or 'none; --log FILE writes one'}",
        "",
        "Try it in another terminal. First a token, then five questions:",
        token_line(scenario, url),
    ]
    for curl in curl_lines(scenario, url, control):
        lines += ["", f"# {curl.question}", curl.line]
    lines += ["", f"ready, with seed {scenario.seed}; Ctrl-C stops it"]
    return "\n".join(lines)
