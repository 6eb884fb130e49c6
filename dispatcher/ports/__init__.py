"""What the engine needs of the world: small Protocols that state their guarantees."""

from dispatcher.ports.credentials import (
    BearerToken,
    ClientCredentials,
    Credentials,
    CredentialSource,
    CredentialsUnavailableError,
)
from dispatcher.ports.events import (
    Clock,
    EventSink,
)
from dispatcher.ports.in_doubt import (
    Doubt,
    Known,
)
from dispatcher.ports.ledger import (
    NO_LIMITS,
    Admitted,
    Backlog,
    Claim,
    Intent,
    Ledger,
    LedgerError,
    Limits,
    Settlement,
    Totals,
)
from dispatcher.ports.pacer import (
    Pacer,
    Permit,
)
from dispatcher.ports.platform import (
    LOOK_BACK_IDS,
    STATES_PER_CALL,
    Asked,
    Authority,
    CredentialsError,
    Platform,
    Reply,
    TokenExpiredError,
    TokenUnavailableError,
    TokenUse,
)
from dispatcher.ports.source import (
    Batch,
    Position,
    Source,
    SourceError,
)

__all__ = [
    "LOOK_BACK_IDS",
    "NO_LIMITS",
    "STATES_PER_CALL",
    "Admitted",
    "Asked",
    "Authority",
    "Backlog",
    "Batch",
    "BearerToken",
    "Claim",
    "ClientCredentials",
    "Clock",
    "CredentialSource",
    "Credentials",
    "CredentialsError",
    "CredentialsUnavailableError",
    "Doubt",
    "EventSink",
    "Intent",
    "Known",
    "Ledger",
    "LedgerError",
    "Limits",
    "Pacer",
    "Permit",
    "Platform",
    "Position",
    "Reply",
    "Settlement",
    "Source",
    "SourceError",
    "TokenExpiredError",
    "TokenUnavailableError",
    "TokenUse",
    "Totals",
]
