"""What a token grants, is required to grant, and lacks, told to people and to the log."""

from collections.abc import Iterator
from typing import Any

from dispatcher.ports import TokenGrants

NOT_TOLD = "not limited by scopes, or the platform does not tell"
PERMISSIONS_NOTE = "a token does not tell its permissions: a 403 would show that one is missing"


def log_grants(log: Any, authority: TokenGrants) -> None:
    """Write one line of what the run may do; as a warning if something is missing."""
    write = log.warning if authority.missing_grants else log.info
    write(
        "authority",
        granted=list(authority.granted) if authority.scopes_known else NOT_TOLD,
        required=list(authority.required),
        missing=[{"what": f"{each.kind} {each.name}", "where": each.where}
                 for each in authority.missing_grants],
        about=authority.about,
    )  # fmt: skip


def described(authority: TokenGrants) -> Iterator[tuple[bool, str, str]]:
    """Yield what was looked at: whether it is right, its name, and what was seen.

    Each thing that is missing is a line of its own, with where it is granted.
    """
    granted = (" ".join(authority.granted) or "nothing") if authority.scopes_known else NOT_TOLD
    about = f"; {authority.about}" if authority.about else ""
    yield True, "granted", f"{granted}{about}"
    if authority.required:
        permissions = any(each.startswith("permission ") for each in authority.required)
        note = f" ({PERMISSIONS_NOTE})" if permissions else ""
        yield True, "required", "; ".join(authority.required) + note
    for each in authority.missing_grants:
        yield False, f"{each.kind}s", f"missing: {each.name}; grant it in: {each.where}"
    if not authority.missing_grants:
        yield True, "missing", "nothing that the token tells"
