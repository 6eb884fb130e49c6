"""A scenario: everything that one run of the sandbox is made of, read from TOML or a mapping."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, get_args

from dispatcher.sandbox.oauth_clients import ClientRules, clients
from dispatcher.sandbox.scenario import sections
from dispatcher.sandbox.scenario.model import (
    Analytics,
    DialectName,
    Event,
    Fault,
    GenesysRules,
    Limit,
    RateRules,
    Spread,
    TokenRules,
    WorldRules,
)
from dispatcher.sandbox.scenario.table import Table

T = TypeVar("T")


class ScenarioError(ValueError):
    """A scenario is wrong; ``mistakes`` holds one line for each mistake, with file and key."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world of the sandbox; the empty one is a platform with the contract's own defaults."""

    seed: int = 1
    dialect: DialectName = "messaging"
    log_text: bool = False
    """Whether the effect log carries the messages' texts beside their hashes."""
    token: TokenRules = field(default_factory=TokenRules)
    rate: RateRules = field(default_factory=RateRules)
    clients: tuple[ClientRules, ...] = ()
    """OAuth clients beside the one of ``token``."""
    limits: tuple[Limit, ...] = ()
    latency: Mapping[str, Spread] = field(default_factory=dict)
    """By endpoint; ``default`` stands for the endpoints that are not named."""
    faults: tuple[Fault, ...] = ()
    events: tuple[Event, ...] = ()
    analytics: Analytics = field(default_factory=Analytics)
    world: WorldRules = field(default_factory=WorldRules)
    genesys: GenesysRules = field(default_factory=GenesysRules)


def load(source: Path | str | Mapping[str, object]) -> Scenario:
    """Read a scenario from a TOML file or a mapping of the same shape.

    Raises:
        ScenarioError: with every mistake at once.

    """
    if isinstance(source, Mapping):
        return read_with(_scenario, source, "scenario")
    name = str(source)
    try:
        with Path(source).open("rb") as file:
            data = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError([f"{name}: {error}"]) from error
    return read_with(_scenario, data, name)


def read_with(read: Callable[[Table], T], data: object, name: str) -> T:
    """Read a mapping with one of the readers; raise all of its mistakes together."""
    mistakes: list[str] = []
    table = Table(data, "", mistakes, name)
    result = read(table)
    table.close()
    if mistakes:
        raise ScenarioError(mistakes)
    return result


def _scenario(table: Table) -> Scenario:
    dialects: tuple[DialectName, ...] = get_args(DialectName)
    return Scenario(
        seed=table.integer("seed", 1),
        dialect=table.choice("dialect", dialects, "messaging"),
        log_text=table.flag("log_text", default=False),
        token=sections.token(table),
        rate=sections.rate(table),
        clients=clients(table),
        limits=sections.limits(table),
        latency=sections.latency(table),
        faults=sections.faults(table),
        events=sections.events(table),
        analytics=sections.analytics(table),
        world=sections.world(table),
        genesys=sections.genesys(table),
    )
