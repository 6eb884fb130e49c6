"""The ledger in a PostgreSQL database. psycopg is imported here alone, and only when it is used."""
