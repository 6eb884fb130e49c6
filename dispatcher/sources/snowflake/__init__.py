"""Rows of Snowflake: a SELECT of the user, read in pages by a key, or as one result."""
