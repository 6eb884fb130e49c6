"""Where contacts are read from: files, globs, watched folders and standard input."""

from dispatcher.sources.file_source import FileSource
from dispatcher.sources.folder_source import FolderSource
from dispatcher.sources.opening import open_source
from dispatcher.sources.rules import Layout, RowRules, Timing
from dispatcher.sources.stream_source import StreamSource
from dispatcher.sources.template import Template

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
