"""Files of contacts whose conversations exist in the sandbox."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

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
    status: str = "abandoned",
    skip_share: float = 0.0,
    skip_status: str = "completed",
    with_sessions: bool = False,
) -> Counter[str]:
    """Write a CSV file of contacts; return the number of contacts of each kind.

    The columns are ``conversation_id``, ``contact_key`` (if ``with_keys``),
    ``external_contact_id``, ``first_name``, ``cart_value`` and ``status``. A share of the rows can
    have another status, which a filter can exclude; they are not in the returned counts. With
    ``with_sessions`` there are also ``address``, ``session_status`` and ``session_ended_at``: what
    an export knows of the session, which may have changed since.
    """
    random = generator(seed, "contacts")
    written: Counter[str] = Counter()
    key_column = "contact_key," if with_keys else ""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"conversation_id,{key_column}external_contact_id,first_name,cart_value,status"
            f"{',address,session_status,session_ended_at' if with_sessions else ''}\n"
        )
        for first in range(0, count, _CHUNK):
            numbers = range(first, min(count, first + _CHUNK))
            kinds = random.choices(list(shares), list(shares.values()), k=len(numbers))
            kept = [not skip_share or random.random() >= skip_share for _ in kinds]
            written.update(kind for kind, keep in zip(kinds, kept, strict=True) if keep)
            statuses = [status if keep else skip_status for keep in kept]
            rows = _rows(numbers, kinds, statuses, random, with_keys=with_keys)
            file.writelines(f"{row}{_session(row) if with_sessions else ''}\n" for row in rows)
    return written


def _rows(
    numbers: range, kinds: list[str], statuses: list[str], random: Random, *, with_keys: bool
) -> Iterator[str]:
    for number, kind, status in zip(numbers, kinds, statuses, strict=True):
        conversation_id = f"{kind}-{random.getrandbits(32):08x}-{number}"
        key = f"k-{number}," if with_keys else ""
        name = _NAMES[number % len(_NAMES)]
        identity = identity_in_file(conversation_id)
        yield f"{conversation_id},{key}{identity},{name},{number % 200}.50,{status}"


def _session(row: str) -> str:
    """Return the columns of a row's session."""
    conversation_id = row.partition(",")[0]
    kind = KINDS[conversation_id.partition("-")[0]]
    reached = address(conversation_id) if kind.reachable else ""
    if kind.state in OPEN_STATES:
        return f",{reached},open,"
    return f",{reached},{kind.state},{_ENDED_AT}"


def identity_in_file(conversation_id: str) -> str:
    """Return the external contact id of a conversation in a file, which can be wrong or empty."""
    kind = KINDS[conversation_id.partition("-")[0]]
    if kind.file_identity == "empty":
        return ""
    if kind.file_identity == "wrong":
        return WRONG_CONTACT + conversation_id
    return external_contact_id(conversation_id)
