"""The copy of a ledger: marks, rows, verification, and the way back.

1. The new ledger is marked, then the old one: from here on no run can use either.
2. What is in flight in the old ledger is taken up, as the next run would.
3. Each batch of rows is written with the mark of the new ledger, which has the place to go on from.
4. All rows of both ledgers are read again, and compared.
5. The old ledger is marked as moved, then the new one can be used.

A copy that is killed goes on from the marks.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dispatcher.ledgers.copying.checksum import Checksum
from dispatcher.ledgers.copying.copy_ledger import CopyLedger, SinkCursor
from dispatcher.ledgers.copying.tables import TABLES
from dispatcher.ledgers.moves import Move, refuse_moved
from dispatcher.ports import LedgerError
from dispatcher.ports.copying import Copied, Prepared, ReportCopy, ignore_copy


@dataclass
class _CopyProgress:
    """How much is done, for people."""

    report: ReportCopy
    total: int
    copied: int = 0
    compared: int = 0

    def show(self) -> None:
        self.report((self.copied, self.total), (self.compared, 2 * self.total))


@dataclass
class Copier:
    """Copies ``source`` to ``target``; both are open, and stay open."""

    source: CopyLedger
    target: CopyLedger
    report: ReportCopy = ignore_copy
    now: Callable[[], float] = time.time
    _shown: _CopyProgress = field(init=False)

    def copy(self) -> Copied:
        """Copy the ledger, or go on with a copy that was interrupted.

        Raises:
            MovedLedgerError: the old ledger has moved elsewhere, or is an unfinished copy itself.
            LedgerError: the new one is not empty, one of them fails, or they differ at the end.

        """
        began = time.monotonic()
        move = self._begin()
        source_mark, prepared = self.source.move(), Prepared()
        earlier = sum(map(self.target.count, TABLES))
        if source_mark is not None and source_mark.state == "leaving":
            prepared = self.source.prepare(self.now())
            self._copy_all(move, self.source.cursors())
            self.source.mark(source_mark.now("moved", self.now()))
        was_complete = move.state == "arrived"
        if not was_complete:
            self.target.arrive(self.target.move() or move, self.now())
        rows = {table.name: self.target.count(table) for table in TABLES}
        seconds = time.monotonic() - began
        cursor = self.target.last_cursor()
        return Copied(rows, prepared, seconds, earlier, was_complete, cursor)

    def _copy_all(self, move: Move, cursors: Sequence[SinkCursor]) -> None:
        total = sum(map(self.source.count, TABLES))
        self._shown = _CopyProgress(self.report, total)
        move = self._copy_rows(move)
        self.target.finish(cursors, move)
        self._compare()

    def _begin(self) -> Move:
        """Mark both ledgers, unless an earlier copy goes on; return the mark of the new one."""
        source_mark, arriving = self.source.move(), self.target.move()
        if source_mark is not None and source_mark.state in ("leaving", "moved"):
            if arriving is None or arriving.copy_id != source_mark.copy_id:
                refuse_moved(source_mark, self.source.name)
            else:
                return arriving
        refuse_moved(source_mark, self.source.name, reads=True)
        if arriving is not None and arriving.state == "arriving":
            if arriving.place != self.source.name:
                refuse_moved(arriving, self.target.name)
            self.target.clear()  # of a copy that the old ledger does not know of any more
        elif arriving is not None or not self.target.is_new():
            raise LedgerError(
                f"ledger {self.target.name}: it is not empty; name a new file or an empty database "
                "with --to"
            )
        copy_id, now = secrets.token_hex(8), self.now()
        move = Move("arriving", copy_id, self.source.name, now)
        self.target.mark(move)
        leaving = Move("leaving", copy_id, self.target.name, now)
        if source_mark is not None:
            leaving = replace(leaving.after("arrived", []), last_contact=source_mark.last_contact)
        self.source.mark(leaving)
        return move

    def _copy_rows(self, move: Move) -> Move:
        names = [table.name for table in TABLES]
        first, after = move.progress or (names[0], None)
        for number, table in enumerate(TABLES):
            if number < names.index(first):
                self._shown.copied += self.target.count(table)
                continue
            place = after if table.name == first else None
            if place:
                self._shown.copied += self.target.count(table)
            for batch in self.source.batches(table, place):
                move = move.after(table.name, batch.last)
                self.target.write(table, batch.rows, move)
                self.source.keep()
                self._shown.copied += len(batch.rows)
                self._shown.show()
        return move

    def _compare(self) -> None:
        """Compare all rows that are stored in both ledgers.

        Raises:
            LedgerError: they differ.

        """
        different = []
        for table in TABLES:
            sums = []
            for end, other in ((self.source, self.target), (self.target, self.source)):
                checksum = Checksum()
                for batch in end.batches(table):
                    checksum.add(batch.rows)
                    end.keep()
                    other.keep()
                    self._shown.compared += len(batch.rows)
                    self._shown.show()
                sums.append(checksum)
            if sums[0] != sums[1]:
                rows = f"{sums[0].rows:,} and {sums[1].rows:,} rows"
                different.append(f"{table.name} ({rows})")
        if different:
            raise LedgerError(
                f"ledger {self.target.name}: it differs from {self.source.name} in "
                f"{', '.join(different)}, so neither can be used; run `dispatcher ledger copy "
                "--undo` with the same --from and --to, which empties the new one, then copy "
                "again, and report this"
            )


def undo(source: CopyLedger, target: CopyLedger | None) -> None:
    """Give a copy up: the old ledger can be used again, the new one is emptied.

    Without ``target`` only the old ledger is changed: the caller is sure that the new one is lost.

    Raises:
        LedgerError: the two are not those of one copy, or a run has used the new one.

    """
    source_mark = source.move()
    arriving = target.move() if target is not None else None
    if source_mark is not None and source_mark.state not in ("leaving", "moved"):
        source_mark = None
    if target is not None and arriving is not None:
        _give_up(source, source_mark, target, arriving)
    elif source_mark is None:
        raise LedgerError(f"ledger {source.name}: no copy of it was begun; nothing was changed")
    if source_mark is not None:
        source.mark(source_mark.now("arrived", source_mark.at) if source_mark.progress else None)


def _give_up(
    source: CopyLedger, source_mark: Move | None, target: CopyLedger, arriving: Move
) -> None:
    """Empty the new ledger, unless it is another one or was used."""
    if (
        (source_mark.copy_id != arriving.copy_id)
        if source_mark
        else (arriving.place != source.name)
    ):
        raise LedgerError(
            f"ledger {target.name}: it is a copy of {arriving.place}, and not of {source.name}; "
            "nothing was changed"
        )
    if arriving.state == "arrived" and (source_mark is None or target.was_used(arriving)):
        raise LedgerError(
            f"ledger {target.name}: the copy is complete and was used since, so the old ledger "
            "lacks what was sent; nothing was changed. Copy it to a new file or database instead"
        )
    target.mark(arriving.now("arriving", arriving.at))
    target.clear()
    target.mark(None)
