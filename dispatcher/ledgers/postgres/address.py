"""Where a ledger's database is, and connections to it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dispatcher.domain.errors import DispatcherError
from dispatcher.ledgers.postgres.pooled import pooled_connection
from dispatcher.ports import LedgerAwayError, LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

Durable = Literal["replicated", "single", "managed"]

CONNECT_SECONDS = 5
"""How long one address of a server may take to connect."""
LOCK_SECONDS = 5
STATEMENT_SECONDS = 10
_IDLE_SECONDS = 15
"""After this time the server ends a transaction whose client is silent.

That of a run ends after the time of its lease at the latest: its locks keep a standby out if its
machine has died.
"""
TRANSACTION_SECONDS = 25
"""After this time the server ends a transaction of the writer, also in the middle of a message."""
_HAS_TRANSACTION_TIMEOUT = 170_000
PLAIN_PLANS = (
    "plan_cache_mode=force_generic_plan",
    "enable_seqscan=off",
    "enable_mergejoin=off",
    "enable_hashjoin=off",
    "enable_material=off",
    "enable_bitmapscan=off",
    "cpu_tuple_cost=1",
    "cpu_index_tuple_cost=1",
)
"""Settings of a session: rows are looked up one by one in indexes.

A plan is kept for as long as the session lasts. One that was made while the tables were small would
read them as a whole later. With costs of rows as high as those of pages one row makes a difference:
a table of two rows on one page is no exception.
"""
_KEEPALIVES: dict[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_SERVER_KEEPALIVES = (
    "tcp_keepalives_idle=5",
    "tcp_keepalives_interval=5",
    "tcp_keepalives_count=3",
)
"""The same for the server, which else holds the locks of a client that is gone for hours."""
OLDEST_SERVER = 140_000
UNSAFE_VARIABLE = "DISPATCHER_TEST_SERVER_WITHOUT_FSYNC"
"""Set in tests alone: a server need not write to its disk before it confirms a commit."""


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database, and what a run agrees with it. ``url`` has no password.

    ``read_password`` returns the present password, which replaces ``password`` at each connection.
    ``pooler`` means that a pooler in transaction mode is in between, so that nothing may depend on
    the session. ``durable`` "replicated" needs a server that waits for a replica at each commit;
    with "managed" its provider replicates in a way that the server does not show.
    ``state_file`` is the file of this machine with the last state that a run has committed.
    ``checks_fsync`` is False in tests alone, which may also set `UNSAFE_VARIABLE`.
    """

    url: str
    password: str = field(default="", repr=False)
    read_password: Callable[[], str] | None = field(default=None, repr=False)
    pooler: bool = False
    durable: Durable = "single"
    lease_seconds: float = 10.0
    away_seconds: float = 3600.0
    state_file: Path | None = None
    checks_fsync: bool = field(default_factory=lambda: UNSAFE_VARIABLE not in os.environ)

    def with_present_password(self) -> "PostgresAddress":
        """Return the address with the password as it is now; with the known one if none is there.

        A file may be missing for the moment in which it is replaced.
        """
        if self.read_password is None:
            return self
        try:
            return replace(self, password=self.read_password())
        except DispatcherError:
            return self

    @property
    def name(self) -> str:
        """The address as people know it: user, hosts and database, without options."""
        return self.url.partition("?")[0]


class LoginRefusedError(LedgerError):
    """The server does not let the user in with this password. Another one may be on its way."""


def load_psycopg() -> Any:
    """Return psycopg.

    Raises:
        LedgerError: it is not installed.

    """
    try:
        return import_module("psycopg")
    except ImportError:
        raise LedgerError(
            "ledger.url needs the package psycopg: pip install 'dispatcher[postgres]'"
        ) from None


def connect(
    address: PostgresAddress,
    *,
    read_only: bool = False,
    application_name: str = "dispatcher",
    statement_seconds: float = STATEMENT_SECONDS,
    of_a_run: bool = False,
) -> "Connection[Any]":
    """Return a connection that commits each statement by itself, as READ COMMITTED.

    What is committed depends on it: a function takes a lock first, and what it looks at in a later
    statement has all that was committed before. The user, the database or the server may have
    another default.

    ``read_only`` also takes a server that is a replica. ``statement_seconds`` 0 is no limit. With
    ``of_a_run`` statements are planned as for large tables, once (`PLAIN_PLANS`), and the server
    ends a silent transaction when the lease of the run has run out.

    Raises:
        LedgerAwayError: no server answers; it may come back.
        LoginRefusedError: the password is wrong.
        LedgerError: the address is wrong, or the server refuses.

    """
    psycopg = load_psycopg()
    address = address.with_present_password()
    settings: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": application_name,
        "client_encoding": "UTF8",
        **_KEEPALIVES,
    }
    if not read_only:
        settings["target_session_attrs"] = "read-write"
    if not address.pooler:
        settings["options"] = _options(
            address, read_only=read_only, statement_seconds=statement_seconds, of_a_run=of_a_run
        )
    if address.password:
        settings["password"] = address.password
    try:
        parts = psycopg.conninfo.conninfo_to_dict(address.url, **settings)
    except psycopg.Error as error:
        raise ledger_error(
            address, f"ledger.url is no address: {first_line(error, address)}"
        ) from None
    kind = pooled_connection() if address.pooler else psycopg.Connection
    try:
        connection = kind.connect(**parts, autocommit=True)
    except psycopg.Error as error:
        raise translate_error(address, error) from None
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    if address.pooler:
        connection.prepare_threshold = None
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        connection.close()
        raise ledger_error(
            address, f"the server is PostgreSQL {version // 10_000}, and 14 or newer is needed"
        )
    return connection


def _options(
    address: PostgresAddress, *, read_only: bool, statement_seconds: float, of_a_run: bool
) -> str:
    idle = min(_IDLE_SECONDS, address.lease_seconds) if of_a_run else _IDLE_SECONDS
    limits = {
        "lock_timeout": LOCK_SECONDS,
        "idle_in_transaction_session_timeout": idle,
        "statement_timeout": statement_seconds,
    }
    options = [f"-c {name}={int(seconds * 1000)}" for name, seconds in limits.items()]
    options += ["-c search_path=pg_catalog", "-c TimeZone=UTC", "-c jit=off"]
    options.append(r"-c default_transaction_isolation=read\ committed")
    if of_a_run:
        options += [f"-c {setting}" for setting in PLAIN_PLANS]
    options += [f"-c {keepalive}" for keepalive in _SERVER_KEEPALIVES]
    if read_only:
        options.append("-c default_transaction_read_only=on")
    return " ".join(options)


def limit_transactions(connection: "Connection[Any]", address: PostgresAddress) -> None:
    """Let the server end a transaction whose end does not come, whatever it waits for.

    Without that a group of which only the last bytes were lost keeps its locks: no other limit of
    the server counts between two messages of one statement. Older servers have only keepalives.
    """
    if not address.pooler and connection.info.server_version >= _HAS_TRANSACTION_TIMEOUT:
        connection.execute(f"SET transaction_timeout = '{TRANSACTION_SECONDS}s'")


def translate_error(address: PostgresAddress, error: Exception) -> LedgerError:
    """Return the error that says in words what failed, without a secret.

    A `LedgerAwayError` means that the same may succeed later.
    """
    said = first_line(error, address)
    code = getattr(error, "sqlstate", None) or ""
    if "read-only" in said:
        said = f"no server that can be written: {said}; name the hosts of all servers in ledger.url"
    if code == _LOCKED:
        words = (
            f"another session has kept a lock for too long ({said}); try again when it has ended"
        )
        return LedgerAwayError(str(ledger_error(address, words)))
    if is_away(error):
        return LedgerAwayError(str(ledger_error(address, f"the server does not answer ({said})")))
    by_words = next((hint for words, hint in _FOR_GOOD.items() if words in str(error)), None)
    known = _MESSAGES.get(code) or _MESSAGES.get(code[:2]) or by_words
    failed = ledger_error(address, f"{known} ({said})" if known else f"the server says: {said}")
    return LoginRefusedError(str(failed)) if known in (_LOGIN, _MESSAGES["28"]) else failed


def connect_again(
    address: PostgresAddress, application_name: str = "dispatcher", **more: Any
) -> "Connection[Any]":
    """Connect as `connect` does, to a server that has let this user in before.

    Its password may be changing: then the server and the file here do not change together.

    Raises:
        LedgerAwayError: no server answers, or the login is refused for now.
        LedgerError: the address is wrong, or the server refuses.

    """
    try:
        return connect(address, application_name=application_name, **more)
    except LoginRefusedError as error:
        raise LedgerAwayError(str(error)) from None


def is_away(error: Exception) -> bool:
    """Return whether an error of the driver means that the server may answer later."""
    psycopg = load_psycopg()
    code = getattr(error, "sqlstate", None)
    if code is None:
        if not isinstance(error, psycopg.OperationalError):
            return False
        said = str(error)
        return not any(words in said for words in _FOR_GOOD)
    return code[:2] in ("08", "57") or code in _LATER


_LOCKED = "55P03"
_LATER = ("53300", _LOCKED, "40001", "40P01", "25006", "25P03", "25P04")
"""Too many connections, a lock, a conflict of transactions, a server that only reads for now."""
_LOGIN = "the server refuses the login; check ledger.url, ledger.password_file and _variable"
_CERTIFICATE = "a certificate is missing or wrong; check the ssl options of ledger.url"
_OPTIONS = "correct the options of ledger.url"
_FOR_GOOD = {
    "unsupported startup parameter": "this is a pooler; set ledger.pooler = true",
    "authentication failed": _LOGIN,
    "no password supplied": "the server wants a password; set ledger.password_file or _variable",
    "certificate": _CERTIFICATE,
    "private key": _CERTIFICATE,
    "does not support SSL": "the server has no encryption; correct sslmode in ledger.url",
    "no pg_hba.conf entry": "the server does not let this user in from here; see its pg_hba.conf",
    "pg_hba.conf rejects": "the server does not let this user in from here; see its pg_hba.conf",
    "permission denied for database": "grant CONNECT on the database to this user",
    "no such database": "this pooler does not know the database; see its configuration",
    "no such user": "this pooler does not know the user; see its configuration",
    "does not exist": "create it, or correct ledger.url",
    "not permitted to log in": _LOGIN,
    "invalid connection option": _OPTIONS,
    "invalid integer value": _OPTIONS,
    "invalid value for parameter": _OPTIONS,
    ' value: "': _OPTIONS,
    "unrecognized configuration parameter": _OPTIONS,
    "channel binding required": _OPTIONS,
    "invalid port": "correct the port in ledger.url",
}
"""Words of errors without a code, which do not end by themselves, and what to do."""
_MESSAGES = {
    "28": "the server refuses the login; check ledger.url and the password",
    "3D": "there is no such database; create it, or correct ledger.url",
    "3F": "there is no ledger in this database; run a campaign first, or check ledger.url",
    "42P01": "there is no ledger in this database; run a campaign first, or check ledger.url",
    "42883": "there is no ledger in this database, or an older one; run "
    "`dispatcher ledger migrate`",
    "DSP04": "it has just moved, or become a copy; run this again, which says more",
    "DSP06": "a newer dispatcher has just migrated it; install that version",
    "42501": "this user lacks a permission; grant it, see docs/ledger-postgres.md",
    "53100": "the disk of the server is full",
    "53200": "the server is out of memory",
    "XX001": "the database is damaged; restore it from a backup",
    "XX002": "an index of the database is damaged; rebuild it with REINDEX",
}


def first_line(error: object, address: PostgresAddress) -> str:
    """Return the first line of a driver's message, without the password."""
    line = (str(error).splitlines() or [""])[0][:300]
    return line.replace(address.password, "***") if address.password else line


def ledger_error(address: PostgresAddress, what: str) -> LedgerError:
    """Return the error that says what is wrong with the ledger and what to do."""
    return LedgerError(f"ledger {address.name}: {what}")
