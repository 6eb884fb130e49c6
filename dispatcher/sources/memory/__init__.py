"""Contacts that a program has in memory: a table of Arrow, a data frame, or a list of rows."""
