"""Makes the dialect that a scenario names."""

from typing import NamedTuple

from dispatcher.sandbox.dialect import Dialect, DialectContext
from dispatcher.sandbox.genesys.dialect import GENESYS, GenesysDialect
from dispatcher.sandbox.messaging.dialect import MessagingDialect
from dispatcher.sandbox.oauth import MESSAGING, DialectScopes, Grants
from dispatcher.sandbox.scenario.scenario import Scenario
from dispatcher.sandbox.scenario.value_types import DialectName
from dispatcher.sandbox.world.effect_log import EffectLog
from dispatcher.sandbox.world.message_archive import MessageArchive
from dispatcher.sandbox.world.timestamps import Times
from dispatcher.sandbox.world.traffic import Traffic
from dispatcher.sandbox.world.world import World


class Moment(NamedTuple):
    """One moment by both clocks: the monotonic one, and in seconds since the epoch."""

    now: float
    wall: float


def dialect_scopes(dialect: DialectName) -> DialectScopes:
    """Return what a dialect requires of the client."""
    return GENESYS if dialect == "genesys" else MESSAGING


def make_dialect(
    scenario: Scenario, world: World, grants: Grants, log: EffectLog, started: Moment
) -> Dialect:
    """Return the scenario's dialect, which reads and changes this world."""
    archive = MessageArchive(scenario.analytics, scenario.seed)
    traffic = Traffic(scenario.traffic, archive, scenario.seed, started.wall)
    share = scenario.world.extra_fields_share
    context = DialectContext(world, grants, log, archive, traffic, scenario.seed, share)
    if scenario.dialect == "genesys":
        lag, offset = scenario.analytics.availability_lag_seconds, started.wall - started.now
        return GenesysDialect(context, scenario.genesys, lag, started.now, offset)
    return MessagingDialect(context, Times(started.wall))
