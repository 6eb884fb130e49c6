"""Builds whose ledger in PostgreSQL breaks the promise on purpose: in SQL, or in the session."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from dispatcher.ledgers.postgres.migrations import FUNCTIONS, script
from dispatcher.ledgers.postgres.session import Session

Change = tuple[str, str]
"""What a script has, and what the broken one has in its place."""


@dataclass(frozen=True)
class BrokenBuild:
    """``sql`` changes the functions in the database, ``session`` the class of sessions."""

    what: str
    sql: Mapping[str, tuple[Change, ...]]
    session: Callable[[type[Session]], type[Session]] = lambda kind: kind

    def install(self, url: str, password: str) -> None:
        """Put the broken functions into a database."""
        with psycopg.connect(url, password=password, autocommit=True) as connection:
            connection.execute("SET check_function_bodies = off")  # temporary tables come later
            for name, changes in self.sql.items():
                text = script(name)
                assert name in FUNCTIONS
                for before, after in changes:
                    assert before in text, f"{name} has no longer: {before}"
                    text = text.replace(before, after)
                connection.execute(text)


def _reads(number: Callable[[Session, int], int]) -> Callable[[type[Session]], type[Session]]:
    """Let a session take for the number of the last committed group what a function makes of it."""

    def broken(kind: type[Session]) -> type[Session]:
        class Broken(kind):  # type: ignore[misc, valid-type]
            def _scalar(self, connection: Any, statement: str) -> Any:
                found = super()._scalar(connection, statement)
                if "resume" not in statement:
                    return found
                return number(self, found[0]), *found[1:]

        return Broken

    return broken


def _fails_at_once(kind: type[Session]) -> type[Session]:
    """Let a group whose answer is lost fail, as if nothing of it were committed."""

    class Broken(kind):  # type: ignore[misc, valid-type]
        def _after(self, error: Exception) -> None:
            self._lose_connection()
            raise error

    return Broken


_SNAPSHOT = (
    "DROP TABLE IF EXISTS pg_temp.before_guard;"
    " CREATE TEMP TABLE before_guard AS SELECT * FROM dispatcher.reached;"
)
_INTENDS = "    IF p_work ? 'intend' THEN\n"
_LOOKS = "FROM dispatcher.reached\n                    WHERE"
_NO_ORDER = (" AND group_no = p_group - 1", "")
_NO_FENCE = (" AND NOT fenced AND lease_until > clock_timestamp()", "")

BROKEN: dict[str, BrokenBuild] = {
    "look-up-before-guard": BrokenBuild(
        "people are looked up before the row that keeps others out",
        {
            "apply.sql": (
                (_INTENDS, f"{_INTENDS}        {_SNAPSHOT}\n"),
                (_LOOKS, _LOOKS.replace("dispatcher.reached", "pg_temp.before_guard AS reached")),
            )
        },
    ),
    "no-fence": BrokenBuild(
        "neither the run's own row nor the holder of a contact is compared",
        {
            "leases.sql": (_NO_FENCE,),
            "apply.sql": ((" AND held.daemon_id = p_me", ""),),
        },
    ),
    "resends-committed-groups": BrokenBuild(
        "a group whose answer is lost is sent again, whether it was committed or not",
        {"leases.sql": (_NO_ORDER,)},
        _reads(lambda session, number: min(number, session._group)),
    ),
    "drops-uncommitted-groups": BrokenBuild(
        "a group whose answer is lost counts as committed",
        {},
        _reads(lambda session, _: session._group + 1),
    ),
    "lost-answer-is-a-failure": BrokenBuild(
        "a group whose answer is lost counts as not committed", {}, _fails_at_once
    ),
    "overlooks-lost-commits": BrokenBuild(
        "a server that has lost commits is believed",
        {"leases.sql": (_NO_ORDER,)},
        _reads(lambda session, number: max(number, session._group)),
    ),
}
"""Each broken build by its name."""
