"""Which contacts are traced."""

from hashlib import blake2b

_BYTES = 8
_ALL = 2.0 ** (8 * _BYTES)


def is_sampled(campaign: str, contact_key: str, share: float) -> bool:
    """Return True for ``share`` (0 to 1) of all contacts.

    The same contact always gives the same result, in every run and on every machine, and a larger
    share has all contacts of a smaller one.
    """
    name = f"{campaign}\0{contact_key}".encode(errors="surrogatepass")
    number = int.from_bytes(blake2b(name, digest_size=_BYTES).digest())
    return number < share * _ALL
