"""Files of contacts whose conversations exist in the sandbox."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from dispatcher.sandbox.conversation_kinds import KINDS, OPEN_STATES, expected
from dispatcher.sandbox.world.ids import WRONG_CONTACT, address, external_contact_id
from dispatcher.sandbox.world.random import generator

__all__ = ["expected", "write_contacts"]

_CHUNK = 10_000
_ENDED_AT = "2026-11-20T18:00:00Z"
_NAMES = ("Ada", "Ben", "Chloé", "Dmitri", "Eva", "Farid", "Grace", "Hana", "Ivo", "Júlia")


def write_contacts(  # noqa: PLR0913 - the options of a file, all keyword-only
    path: Path,
    *,
    count: int,
    shares: Mapping[str, float],
    seed: int = 1,
    with_keys: bool = False,
    with_addresses: bool = False,
    status: str = "abandoned",
    skip_share: float = 0.0,
    skip_status: str = "completed",
    with_sessions: bool = False,
) -> Counter[str]:
    """Write a CSV file of contacts; return the number of contacts of each kind.

    The columns are ``conversation_id``, ``contact_key`` (if ``with_keys``),
    ``external_contact_id``, ``address`` (if ``with_addresses``), ``first_name``, ``cart_value`` and
    ``status``. A share of the rows can have another status, which a filter can exclude; they are
    not in the returned counts. With ``with_sessions`` there are also ``address``,
    ``session_status`` and ``session_ended_at``: what an export knows of the session, which may have
    changed since.
    """
    with_addresses = with_addresses or with_sessions
    random = generator(seed, "contacts")
    written: Counter[str] = Counter()
    columns = ["conversation_id", *(["contact_key"] if with_keys else []), "external_contact_id"]
    columns += [*(["address"] if with_addresses else []), "first_name", "cart_value", "status"]
    columns += ["session_status", "session_ended_at"] if with_sessions else []
    more = _OptionalColumns(with_keys, with_addresses, with_sessions)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(columns) + "\n")
        for first in range(0, count, _CHUNK):
            numbers = range(first, min(count, first + _CHUNK))
            kinds = random.choices(list(shares), list(shares.values()), k=len(numbers))
            kept = [not skip_share or random.random() >= skip_share for _ in kinds]
            written.update(kind for kind, keep in zip(kinds, kept, strict=True) if keep)
            statuses = [status if keep else skip_status for keep in kept]
            file.writelines(_rows(numbers, kinds, statuses, random, more))
    return written


class _OptionalColumns(NamedTuple):
    keys: bool
    addresses: bool
    sessions: bool


def _rows(
    numbers: range, kinds: list[str], statuses: list[str], random: Random, more: _OptionalColumns
) -> Iterator[str]:
    for number, kind, status in zip(numbers, kinds, statuses, strict=True):
        conversation_id = f"{kind}-{random.getrandbits(32):08x}-{number}"
        key = f"k-{number}," if more.keys else ""
        name = _NAMES[number % len(_NAMES)]
        identity = identity_in_file(conversation_id)
        reachable = address(conversation_id) if KINDS[kind].reachable else ""
        where = f"{reachable}," if more.addresses else ""
        session = _session(kind) if more.sessions else ""
        row = f"{conversation_id},{key}{identity},{where}{name},{number % 200}.50,{status}"
        yield f"{row}{session}\n"


def _session(kind: str) -> str:
    """Return the columns of a session."""
    state = KINDS[kind].state
    return ",open," if state in OPEN_STATES else f",{state},{_ENDED_AT}"


def identity_in_file(conversation_id: str) -> str:
    """Return the external contact id of a conversation in a file, which can be wrong or empty."""
    kind = KINDS[conversation_id.partition("-")[0]]
    if kind.file_identity == "empty":
        return ""
    if kind.file_identity == "wrong":
        return WRONG_CONTACT + conversation_id
    return external_contact_id(conversation_id)
