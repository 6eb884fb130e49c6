"""Bytes of files, folders and standard input, and positions in them."""
