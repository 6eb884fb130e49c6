"""What a run is to do beside its settings."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunArguments:
    """What a run is to do beside its settings; see `run`.

    ``signals`` is False in a process that is not the dispatcher's own: it handles none then.
    """

    once: bool
    limit: int | None
    adopt: bool
    accepted: Collection[str]
    signals: bool = True
