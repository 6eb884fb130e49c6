"""Rows of any SQL database: a SELECT of the user, read in pages by a key."""
