"""Randomness that depends on nothing but the scenario's seed."""

import random
from hashlib import blake2b

_FULL = float(1 << 64)


def generator(seed: int, purpose: str) -> random.Random:
    """Return a random generator of its own for one purpose, the same for the same seed."""
    return random.Random(f"{seed}:{purpose}")  # noqa: S311 - simulated chance, not a secret


def fraction(seed: int, purpose: str, key: str) -> float:
    """Return a number in [0, 1) that is fixed by seed, purpose and key, and by nothing else."""
    digest = blake2b(f"{seed}:{purpose}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _FULL
