"""Where contacts are read from: files, globs, watched folders and standard input."""
