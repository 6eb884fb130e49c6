"""The grants of a token: which it has, which are required and which are missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dispatcher.ports import TokenGrants

UNKNOWN_SCOPES = "not limited by scopes, or not reported by the platform"
PERMISSIONS_NOTE = "a token does not list its permissions: a 403 would show that one is missing"


@dataclass(frozen=True, slots=True)
class OnlineFinding:
    """One result of a check; ``detail`` says what was found, and what to do."""

    what: str
    detail: str
    ok: bool


def log_grants(log: Any, grants: TokenGrants) -> None:
    """Write one line with the grants of a token; as a warning if some are missing."""
    write = log.warning if grants.missing_grants else log.info
    write(
        "authority",
        granted=list(grants.granted) if grants.scopes_known else UNKNOWN_SCOPES,
        required=list(grants.required),
        missing=[
            {"what": f"{missing.kind} {missing.name}", "where": missing.where}
            for missing in grants.missing_grants
        ],
        about=grants.about,
    )


def grant_findings(grants: TokenGrants) -> Iterator[OnlineFinding]:
    """Yield the granted and the required grants, and one finding for each missing one."""
    granted = (" ".join(grants.granted) or "nothing") if grants.scopes_known else UNKNOWN_SCOPES
    about = f"; {grants.about}" if grants.about else ""
    yield OnlineFinding("granted", f"{granted}{about}", ok=True)
    if grants.required:
        permissions = any(name.startswith("permission ") for name in grants.required)
        note = f" ({PERMISSIONS_NOTE})" if permissions else ""
        yield OnlineFinding("required", "; ".join(grants.required) + note, ok=True)
    for missing in grants.missing_grants:
        detail = f"missing: {missing.name}; grant it in: {missing.where}"
        yield OnlineFinding(f"{missing.kind}s", detail, ok=False)
    if not grants.missing_grants:
        yield OnlineFinding("missing", "nothing, by the token", ok=True)
