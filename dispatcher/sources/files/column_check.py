"""Checks the columns of files, without their rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from dispatcher.ports import SourceError, Stream
from dispatcher.sources.batching import check_columns
from dispatcher.sources.files.seekable_content import SeekableContent
from dispatcher.sources.files.signatures import MissingPackageError
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.columns_error import ColumnsError


def problems_of(
    paths: Iterable[str],
    open_file: Callable[[str], SeekableContent],
    known: Mapping[str, Stream],
    rules: RowRules,
    layout: Layout,
) -> list[str]:
    """Return what is wrong with the columns of the files that are not read to their end.

    So is a package that is not installed and that is needed to read them. A file that cannot be
    read is left out: reading it reports that.
    """

    def problem(path: str) -> Iterator[str]:
        try:
            with open_file(path) as content:
                stream = known.get(content.fingerprint)
                if stream is None or not stream.done:
                    check_columns(content, rules, layout)
        except (ColumnsError, MissingPackageError) as error:
            yield str(error)
        except SourceError:
            return

    return [text for path in paths for text in problem(path)]
