"""Where contacts are read from: files, globs, watched folders and standard input."""

from dispatcher.sources.factory import open_source
from dispatcher.sources.files.file_source import FileSource
from dispatcher.sources.files.folder_source import FolderSource
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.options import Layout, RowRules, Timing
from dispatcher.sources.rows.template import Template

__all__ = [
    "FileSource",
    "FolderSource",
    "Layout",
    "RowRules",
    "StreamSource",
    "Template",
    "Timing",
    "open_source",
]
