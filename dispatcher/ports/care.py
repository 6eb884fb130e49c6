"""The care of a store, which an operator orders: pruning, erasure and checks, as plain values.

The type of each names the type of its result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

A_co = TypeVar("A_co", covariant=True)

ReportProgress = Callable[[int, int], None]
"""Called with the amount of work that is done, and with the whole amount."""


def ignore_progress(_done: int, _whole: int) -> None:
    """Report nothing."""


class Care(Generic[A_co]):
    """Long work on a store, with a result of type ``A_co``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Pruned:
    """The numbers of rows that were removed, or that would be."""

    contacts: int
    lineage: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Space:
    """Size of the store in bytes, and how much of it is free for new rows."""

    whole: int
    free: int


@dataclass(frozen=True, slots=True)
class PruneOrder(Care[tuple[Pruned, Space]]):
    """Selects what to prune: contacts settled and rows rejected before ``before``.

    ``before`` is in seconds since the epoch; ``campaign`` None means all. ``parked`` includes
    parked contacts. With ``dry`` the rows are only counted.
    ``vacuum`` gives the free space back to the disk.
    """

    before: float
    campaign: str | None = None
    parked: bool = False
    dry: bool = False
    vacuum: bool = False


@dataclass(frozen=True, slots=True)
class NotErased:
    """A contact that was not erased, and the reason."""

    campaign: str
    id: int
    why: str


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """Numbers of erased rows.

    ``known_before``: only hashes of an earlier erasure were found.
    ``in_log``: another program reads the store, so its log still contains what was erased.
    ``not_vacuumed``: tables that this user may not vacuum, so that old versions of their rows still
    contain what was erased.
    """

    contacts: int
    rejected: int
    refused: tuple[NotErased, ...] = ()
    known_before: bool = False
    in_log: bool = False
    not_vacuumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ErasureTarget(Care[ErasureReport]):
    """The person to erase: ``name`` is a contact key or conversation id, or an external id.

    ``campaign`` is where a key is looked up, None for all campaigns. The person is erased in all
    campaigns in either case.
    """

    name: str
    is_external: bool = False
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class IntegrityFinding:
    """The result of one check: how many violations it found, and what to do about them.

    ``sound`` says what holds if there are none, ``meaning`` what is counted.
    """

    name: str
    sound: str
    meaning: str
    count: int
    advice: str
