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
    InDoubtContact,
    KnownEffects,
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
    BackgroundPacer,
    Pacer,
    Permit,
)
from dispatcher.ports.platform import (
    MAX_LOOK_BACK_IDS,
    MAX_STATES_PER_CALL,
    CredentialsError,
    LookBackQuery,
    Platform,
    Reply,
    TokenExpiredError,
    TokenGrants,
    TokenLease,
    TokenUnavailableError,
)
from dispatcher.ports.source import (
    Batch,
    Position,
    Source,
    SourceError,
)

__all__ = [
    "MAX_LOOK_BACK_IDS",
    "MAX_STATES_PER_CALL",
    "NO_LIMITS",
    "Admitted",
    "BackgroundPacer",
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
    "EventSink",
    "InDoubtContact",
    "Intent",
    "KnownEffects",
    "Ledger",
    "LedgerError",
    "Limits",
    "LookBackQuery",
    "Pacer",
    "Permit",
    "Platform",
    "Position",
    "Reply",
    "Settlement",
    "Source",
    "SourceError",
    "TokenExpiredError",
    "TokenGrants",
    "TokenLease",
    "TokenUnavailableError",
    "Totals",
]
