"""Packs data in every compressed form that a source reads."""

import bz2
import gzip
import io
import lzma
import zipfile

import zstandard


def zip_files(files):
    """Return a zip archive of ``files``, a mapping of names to data."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


STREAM_PACKERS = {
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
"""Packers of one stream of data, by the suffix of the files that they write."""

PACKERS = {"": bytes, **STREAM_PACKERS, ".zip": lambda data: zip_files({"contacts": data})}
"""All packers of one file's data, with that of plain data."""
