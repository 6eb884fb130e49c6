"""A run's session with the database: each group is committed once, whatever is lost in between.

Each group has a number, which is committed with it in the run's own row. If an answer is lost, the
row shows after a reconnection whether the group was committed: if so, its answer is in the row; if
not, it is sent again. If the row is further back than that, the server has lost commits that it had
confirmed (a replica took over that did not have them): then the run ends for good, and names the
contacts. A standby goes on: it has only looked whether it can take over.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from math import inf
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import (
    PLAIN_PLANS,
    PostgresAddress,
    connect,
    connect_again,
    is_away,
    limit_transactions,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.apply_statement import ApplyStatement
from dispatcher.ledgers.postgres.availability import Availability
from dispatcher.ledgers.postgres.leases import (
    OUT_OF_ORDER,
    RUN_OUT,
    TAKEN_OVER,
    LeaseTenure,
    register,
    release,
    taken_over,
)
from dispatcher.ledgers.postgres.lost_commits import Loss, find_loss, lost_commits
from dispatcher.ledgers.postgres.recent_groups import RecentGroups
from dispatcher.ledgers.postgres.watchdog import Watchdog
from dispatcher.ports import Admitted, Claim, LedgerAwayError, LedgerError

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.errors import Diagnostic

_BEGIN = "SELECT dispatcher.begin_group(%s, %s, %s)"
_SETTINGS = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)"
    for name, _, value in (it.partition("=") for it in (*PLAIN_PLANS, "lock_timeout=5s"))
)
"""What a session has without a pooler, for one transaction."""
_WAITS_FOR_REPLICA = "SyncRepWaitForLSN"
_RENEW = "SELECT dispatcher.renew(%s, %s)"
_RESUME = "SELECT dispatcher.resume(%s, %s)"
_AGAIN = ("40001", "40P01", "55P03")
"""Conflicts between transactions: the same may succeed at once."""
_TOO_LONG = "57014"
_TRIES = 3


class Session:
    """One connection at a time, and the number of the last group. Used by one thread at a time."""

    def __init__(
        self,
        address: PostgresAddress,
        tenure: LeaseTenure,
        availability: Availability,
        on_lost: Callable[[Loss], None],
    ) -> None:
        self._address = address
        self.tenure = tenure
        self.availability = availability
        self._on_lost = on_lost
        self._watchdog = Watchdog()
        self._connection: Connection[Any] | None = None
        self._group = 0
        self._stored: str | None = None
        self._recent = RecentGroups()
        self._me: int | None = None
        self._name = ""
        self.only_looks = False
        """Whether groups change nothing of the ledger, apart from those that call `note_change`."""
        self._changed_in = 0
        self._unreplicated = False
        self._psycopg = load_psycopg()
        self._prepares = not address.pooler
        self._apply = ApplyStatement(pooler=address.pooler)

    @property
    def me(self) -> int:
        """The number of this run."""
        assert self._me is not None  # noqa: S101 - `open` was called
        return self._me

    def open(
        self, name: str, prepare: "Callable[[Connection[Any]], None]", *, patient: bool = False
    ) -> None:
        """Connect once, call ``prepare``, and register this run.

        A server that is silent for too long is away; ``patient``: ``prepare`` may take its time.

        Raises:
            LedgerAwayError: the server does not answer now.
            LedgerError: it cannot be used.

        """
        self._name = name
        connection = connect(self._address, of_a_run=True)
        guard = nullcontext() if patient else self._watchdog.guard(connection)
        try:
            with guard:
                connection.add_notice_handler(self._note_warning)
                prepare(connection)
                limit_transactions(connection, self._address)
                self._me = register(connection, self._address, name)
        except self._psycopg.Error as error:
            connection.close()
            raise translate_error(self._address, error) from None
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def apply(self, payload: bytes, ids: Sequence[int], on_sent: Callable[[], None]) -> str | None:
        """Commit changes; return what `dispatcher.apply` has to say about them, as JSON.

        ``on_sent`` is called before the answer is awaited, and before a server that is away.
        """
        lease = self._address.lease_seconds
        if self._connection is None:
            on_sent()

        def attempt(connection: "Connection[Any]", number: int) -> str | None:
            values = self.me, number, lease, len(ids), payload
            return self._apply.execute(connection, values, on_sent)

        answer: str | None = self._commit(attempt, lambda stored: stored)
        self._recent.add(self._group, ids, {})
        return answer

    def commit(
        self, jobs: "Sequence[tuple[Callable[[Connection[Any]], Any], str]]"
    ) -> Sequence[Any]:
        """Commit jobs, each with its campaign, in one transaction; return their results."""
        lease = self._address.lease_seconds
        results: list[Any] = []

        def attempt(connection: "Connection[Any]", number: int) -> Sequence[Any]:
            with connection.transaction():
                connection.execute(_BEGIN, (self.me, number, lease), prepare=self._prepares)
                if self._address.pooler:
                    connection.execute(_SETTINGS)
                found = [run(connection) for run, _ in jobs]
                results[:] = found
            return found

        # a lost answer is that of the commit: the results are known by then
        found: Sequence[Any] = self._commit(attempt, lambda _: results, tries=_TRIES)
        for (_, campaign), result in zip(jobs, found, strict=True):
            claims = result.claims if isinstance(result, Admitted) else result
            unclaimed = result.unclaimed if isinstance(result, Admitted) else ()
            has_claims = isinstance(claims, list) and claims and isinstance(claims[0], Claim)
            keys = {claim.id: claim.contact.key for claim in claims} if has_claims else {}
            if keys or unclaimed:
                self._recent.add(self._group, list(keys), keys, campaign, unclaimed)
        return found

    def note_change(self) -> None:
        """Note that the group that is being committed changes the ledger; see `only_looks`."""
        self._changed_in = self._group + 1

    def renew(self) -> int:
        """Renew the lease; return the nudge."""

        def attempt(connection: "Connection[Any]") -> int:
            return int(self._scalar(connection, _RENEW))

        nudge: int = self._resilient(attempt)
        return nudge

    def leave(self) -> None:
        """Give all leases back. Nothing is committed from then on."""
        self.tenure.lost()
        if self._connection is not None and self._me is not None:
            with self._watchdog.guard(self._connection):
                release(self._connection, self._me)

    def close(self) -> None:
        """Close the connection."""
        self._lose_connection()
        self._watchdog.stop()

    def _scalar(self, connection: "Connection[Any]", statement: str) -> Any:
        values = (self.me, self._address.lease_seconds)
        row = connection.execute(statement, values, prepare=self._prepares).fetchone()
        return row[0] if row else None

    def _commit(
        self,
        attempt: "Callable[[Connection[Any], int], Any]",
        answered: Callable[[str | None], Any],
        tries: float = inf,
    ) -> Any:
        number = self._group + 1

        def once(connection: "Connection[Any]") -> Any:
            nonlocal number
            if self._group == number:  # as the reconnection has found
                return answered(self._stored)
            number = self._group + 1  # less than before if only looks were lost
            found = attempt(connection, number)
            self._group = number
            return found

        return self._resilient(once, tries)

    def _resilient(self, attempt: "Callable[[Connection[Any]], Any]", tries: float = inf) -> Any:
        """Return what ``attempt`` returns, after as many reconnections as it needs.

        If the server ends it ``tries`` times because it takes too long, it is given up.

        Raises:
            LedgerError: the ledger has failed for good.
            psycopg.Error: the server refuses this attempt alone.

        """
        while True:
            if self.availability.failure is not None:
                raise self.availability.failure
            started = self.tenure.now()
            try:
                connection = self._connection
                if connection is None:
                    connection = self._reconnect()
                with self._watchdog.guard(connection):
                    found = attempt(connection)
                    self._await_replica(connection)
            except self._psycopg.Error as error:
                tries -= getattr(error, "sqlstate", None) == _TOO_LONG
                if tries <= 0:
                    raise
                self._after(error)
            except LedgerAwayError as error:
                self.availability.wait(error)
            else:
                self.tenure.renewed(started)
                if self.availability.away_since is not None:
                    self.availability.back()
                return found

    def _note_warning(self, said: "Diagnostic") -> None:
        """Note that a commit may have been answered without the replica, as after a cancellation.

        The server says so in a warning, and the commit succeeds. Its words are translated and its
        code is a general one, so it is known by the server's function that waits (syncrep.c).
        """
        if said.source_function == _WAITS_FOR_REPLICA:
            self._unreplicated = True

    def _await_replica(self, connection: "Connection[Any]") -> None:
        """Wait for the replica after such a warning: it has all before what is committed now."""
        while self._unreplicated:
            self._unreplicated = False
            try:
                self._scalar(connection, _RENEW)
            except self._psycopg.Error:
                self._unreplicated = True
                self._lose_connection()
                raise

    def _after(self, error: Exception) -> None:
        """Make the session ready for another attempt, or raise the error."""
        code = getattr(error, "sqlstate", None)
        if code == TAKEN_OVER:
            raise self._failed(taken_over(self._address)) from None
        if code in _AGAIN:
            self.availability.wait(translate_error(self._address, error))
            return
        if code in (RUN_OUT, OUT_OF_ORDER):
            self._lose_connection()
            return
        if self._connection is None or self._connection.closed or is_away(error):
            self._lose_connection()
            self.availability.wait(translate_error(self._address, error))
            return
        raise error

    def _reconnect(self) -> "Connection[Any]":
        """Connect, find out which group was committed last, and renew the lease.

        Raises:
            LedgerError: the server has lost commits, or refuses the connection.
            psycopg.Error: it does not answer, or an older session of this run still commits.

        """
        try:
            connection = connect_again(self._address, of_a_run=True)
        except LedgerAwayError:
            raise
        except LedgerError as error:
            raise self._failed(error) from None
        try:
            with self._watchdog.guard(connection):
                connection.add_notice_handler(self._note_warning)
                limit_transactions(connection, self._address)
                self._resume(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _resume(self, connection: "Connection[Any]") -> None:
        number, stored, is_fenced = self._scalar(connection, _RESUME)
        if number < self._group:  # it is asked before the fence: a standby may not know of the loss
            loss = find_loss(connection, self._recent, (number, self._group))
            self._on_lost(loss)
            if not self.only_looks or self._changed_in > max(number, 0):
                raise self._failed(lost_commits(self._address, loss))
            if number < 0:
                self._me = register(connection, self._address, self._name)
                number, is_fenced = 0, False
        if is_fenced:
            raise self._failed(taken_over(self._address))
        self._group, self._stored = number, stored

    def _failed(self, error: LedgerError) -> LedgerError:
        self.tenure.lost()
        self.availability.failure = error
        return error

    def _lose_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
