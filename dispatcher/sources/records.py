"""Makes batches out of records: rows of values with names, such as those of a database."""

from collections.abc import Mapping, Sequence

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.ports import Batch, Stream
from dispatcher.sources.files.table_values import json_line
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import LineReader
from dispatcher.sources.rows.tables import check_names

Record = Mapping[str, object]
"""A row: its values by the names of their columns."""


class RecordBuilder:
    """Makes batches out of the records of one stream; ``name`` is the stream's, for people."""

    def __init__(self, name: str, rules: RowRules) -> None:
        self._name = name
        self._builder = ContactBuilder(rules)

    def check_columns(self, names: Sequence[str]) -> None:
        """Check the names of the columns as a header of CSV is checked.

        Raises:
            ColumnsError: the rules need a column that is not there.

        """
        check_names(names, self._name, self._builder.columns)

    def batch(self, records: Sequence[Record], first: int, stream: Stream) -> Batch:
        """Return the batch of some records, after which the stream is at ``stream``.

        ``first`` is the number of the first record in its stream, from 1; a rejected record has
        its number as its line.
        """
        lines = b"".join(json_line(dict(record)) for record in records)
        reader = LineReader(iter((lines,)), terminator=b"\n", line=first - 1)
        contacts: list[Contact] = []
        rejected: list[RejectedRow] = []
        for row in JsonRows(self._name, self._builder).rows(reader):
            if isinstance(row, Contact):
                contacts.append(row)
            elif row is not None:
                rejected.append(row)
        filtered = len(records) - len(contacts) - len(rejected)
        irregularities = dict(self._builder.irregularities)
        self._builder.irregularities.clear()
        return Batch(contacts, rejected, filtered, stream, irregularities)
