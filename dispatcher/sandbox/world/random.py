"""Random numbers that depend on the scenario's seed alone."""

import random
from hashlib import blake2b

_FULL = float(1 << 64)


def generator(seed: int, purpose: str) -> random.Random:
    """Return the random generator of one purpose, the same for the same seed."""
    return random.Random(f"{seed}:{purpose}")  # noqa: S311 - simulated chance, not a secret


def fraction(seed: int, purpose: str, key: str) -> float:
    """Return a number in [0, 1) that depends on seed, purpose and key alone."""
    digest = blake2b(f"{seed}:{purpose}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _FULL
