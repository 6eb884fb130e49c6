"""Rows of an Excel workbook (.xlsx) with one sheet of rows."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO

from dispatcher.sources.files.decompression import DamagedError
from dispatcher.sources.files.signatures import MissingPackageError, UnreadableFormatError
from dispatcher.sources.files.table_values import json_line, number_text

_DIGITS_LOST = 10**15
"""Excel stores 15 digits of a number; more are zeros."""
_PART_BYTES = 512 << 20
"""The most bytes that the workbook's shared texts may have, since they are held in memory."""
_SHARED_TEXTS = "xl/sharedStrings.xml"
_AS_TEXT = "export it as CSV UTF-8"


class WorkbookTable:
    """The rows of the only sheet with rows as JSON Lines; a row's line is its number in the sheet.

    The first row with a value has the names of the columns. Hidden sheets do not count. Dates are
    those of the cells that are formatted as dates; a formula is its last result.

    Raises:
        UnreadableFormatError: it is damaged, has no or several sheets with rows, or the package
            that reads it is not installed.

    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        if find_spec("openpyxl") is None:
            raise MissingPackageError(
                name,
                "is an Excel workbook (.xlsx), which needs the package openpyxl: install it with "
                f"pip install 'dispatcher[excel]', or {_AS_TEXT}",
            )
        try:
            self._sheet, self._header = _open(file, name)
        except UnreadableFormatError:
            raise
        except Exception:  # noqa: BLE001 - the package documents no errors
            raise UnreadableFormatError(
                name,
                f"is an Excel workbook (.xlsx) that is damaged: save it again, or {_AS_TEXT}",
            ) from None
        self.names = next(
            (tuple(_name(cell) for cell in row) for row in self._rows(self._header)), ()
        )

    def lines(self, skipped: int) -> Iterator[bytes]:
        """Yield the rows after the first ``skipped``, as `Table` says."""
        if skipped < self._header:
            yield b"\n" * (self._header - skipped)
            skipped = self._header
        yield from map(self._line, self._rows(skipped + 1))

    def _rows(self, first: int) -> Iterator[Sequence[Any]]:
        try:
            yield from self._sheet.iter_rows(min_row=max(first, 1), values_only=True)
        except Exception as error:
            raise DamagedError(
                f"the workbook is corrupt ({type(error).__name__}); save it again"
            ) from error

    def _line(self, row: Sequence[Any]) -> bytes:
        extra = (f"column {number}" for number in range(len(self.names) + 1, len(row) + 1))
        return json_line(
            {name: _value(cell) for name, cell in zip((*self.names, *extra), row, strict=False)}
        )


def _open(file: BinaryIO, name: str) -> tuple[Any, int]:
    """Return the sheet with rows, and the number of the row with the names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        openpyxl = import_module("openpyxl")  # an optional extra, without types

        _check_size(file, name)
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            sheet.reset_dimensions()  # some programs write wrong ones, and rows would be missing
        found = [(sheet, header) for sheet in sheets if (header := _first_row(sheet))]
    if not found:
        return sheets[0] if sheets else book.worksheets[0], 1
    if len(found) > 1:
        raise UnreadableFormatError(
            name,
            f"is an Excel workbook with {len(found)} sheets that have rows: leave the one with the "
            "contacts, hide the others, or save each as a file",
        )
    return found[0]


def _check_size(file: BinaryIO, name: str) -> None:
    sizes = {info.filename: info.file_size for info in zipfile.ZipFile(file).infolist()}
    if sizes.get(_SHARED_TEXTS, 0) > _PART_BYTES:
        raise UnreadableFormatError(name, f"is an Excel workbook with too many texts: {_AS_TEXT}")


def _first_row(sheet: Any) -> int:
    rows = enumerate(sheet.iter_rows(values_only=True), 1)
    return next((number for number, row in rows if any(_value(cell) for cell in row)), 0)


def _name(cell: object) -> str:
    return str(_value(cell) or "").strip()


def _value(cell: object) -> object:
    """Return a cell's value as what JSON can hold; blank text is None."""
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, (int, float)):
        return number_text(float(cell), _DIGITS_LOST)
    text = "" if cell is None else str(cell)
    return text if text.strip() else None
