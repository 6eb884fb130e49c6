"""The copy of a whole ledger from a file into a database of PostgreSQL, and back."""
