"""Makes the contacts of one post out of its body."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.status import Irregularity
from dispatcher.ports import Batch, Post, PostLayout, PostRefusal, PostRefusedError, RequestKey
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.json_document import JsonDocument
from dispatcher.sources.rows.jsonl_rows import JsonRows
from dispatcher.sources.rows.line_reader import BOM, LineReader

_NAME_DIGITS = 12
"""Digits of a body's hash that name a post without a key."""

ParsedRow = Contact | RejectedRow | None


class PostParser:
    """Makes batches out of posts. One thread may use it at a time.

    A row that cannot become a contact is rejected alone. A post is refused as a whole if its body
    is no list of rows, has too many of them, or if none of its rows has a column that the settings
    name: without this check a misspelt column of opt-outs would send to everybody.
    """

    def __init__(self, rules: RowRules, most_rows: int) -> None:
        self._builder = _PostBuilder(rules)
        self._most_rows = most_rows

    def parse(self, post: Post) -> Batch:
        """Return the rows of a post; a rejected row has the number of the row as its line.

        Raises:
            PostRefusedError: the post as a whole cannot be accepted.

        """
        digest = hashlib.sha256(post.body).hexdigest()
        name = f"post {post.key or digest[:_NAME_DIGITS]}"
        reader = _open(post)
        builder = self._builder
        builder.start_post()
        contacts: list[Contact] = []
        rejected: list[RejectedRow] = []
        count = 0
        for count, row in enumerate(JsonRows(name, builder).rows(reader), 1):
            self._check_count(count)
            if isinstance(row, Contact):
                contacts.append(row)
            elif row is not None:
                rejected.append(replace(row, line=count))
        self._check_whole(reader, count)
        return Batch(
            contacts,
            rejected,
            count - len(contacts) - len(rejected),
            irregularities=builder.take_irregularities(),
            request=RequestKey(post.key, digest) if post.key else None,
        )

    def _check_count(self, count: int) -> None:
        if count > self._most_rows:
            raise PostRefusedError(
                PostRefusal.TOO_MANY_ROWS,
                f"more than {self._most_rows:,} rows (source.http.most_rows); split the post",
            )

    def _check_whole(self, reader: LineReader | JsonDocument, count: int) -> None:
        """Refuse a body that is cut short, and a post without a column that the settings name."""
        if reader.damage is not None:
            raise PostRefusedError(
                PostRefusal.MALFORMED,
                f"the body is not complete after row {count}, at byte {reader.offset}: "
                f"{reader.damage}",
            )
        missing = ", ".join(map(repr, self._builder.missing_in_post()))
        if missing:
            raise PostRefusedError(
                PostRefusal.MISSING_COLUMNS,
                f"no row of the post has {missing}, which the settings of the campaign name; write "
                "null where a row has no value",
            )


class _PostBuilder(ContactBuilder):
    """Builds the contacts of posts, and knows which columns the rows of a post have.

    It is kept from post to post, since its preparation takes longer than a row.
    """

    def __init__(self, rules: RowRules) -> None:
        super().__init__(rules)
        self._names: set[tuple[str, ...]] = set()

    def start_post(self) -> None:
        """Forget the columns and the counts of the post before."""
        self._names.clear()
        self.irregularities.clear()

    def build_object(self, row: Mapping[str, str]) -> Contact | None:
        """See `ContactBuilder.build_object`."""
        self._names.add(tuple(row))
        return super().build_object(row)

    def missing_in_post(self) -> list[str]:
        """Return the columns that the settings name and no row has; a row's own id is its own."""
        if not self._names:
            return []
        found = frozenset[str]().union(*(self.resolved(names).taken for names in self._names))
        own = self.columns.columns.get("conversation_id")
        return [name for name in self.columns.needed if name not in found and name != own]

    def take_irregularities(self) -> dict[Irregularity, int]:
        """Return how often something was read as empty in this post."""
        counts = dict(self.irregularities)
        self.irregularities.clear()
        return counts


def _open(post: Post) -> LineReader | JsonDocument:
    """Return the reader of a body, by its layout or else its first byte.

    Raises:
        PostRefusedError: the body is empty, or begins with something else than rows.

    """
    begin = post.body.removeprefix(BOM).lstrip()[:1]
    body: Iterator[bytes] = iter((post.body,))
    if not begin:
        raise PostRefusedError(PostRefusal.MALFORMED, "the body is empty; send [] for no row")
    if post.layout is PostLayout.LINES or (post.layout is PostLayout.AUTO and begin == b"{"):
        return LineReader(body)
    if begin not in b"[{":
        raise PostRefusedError(
            PostRefusal.MALFORMED,
            "the body must begin with [ (a JSON array of objects) or { (one object a line); it "
            f"begins with {begin.decode('latin-1')!r}",
        )
    return JsonDocument(body, is_array=begin == b"[")
