"""Writes the documents and the collections: ``python -m dispatcher.sandbox.openapi.write docs``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

from dispatcher.sandbox.openapi.document import APIS, document
from dispatcher.sandbox.openapi.postman import collection

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file."""
    for dialect in APIS:
        yield f"openapi-{dialect}.json", orjson.dumps(document(dialect), option=_OPTIONS)
        yield f"postman-{dialect}.json", orjson.dumps(collection(dialect), option=_OPTIONS)


if __name__ == "__main__":
    for name, content in files():
        (Path(sys.argv[1]) / name).write_bytes(content)
