"""The statements of the sink in Snowflake."""

from dispatcher.sinks.lineage_formats import COLUMNS, NUMBERS, TIMES

KEY = ("campaign", "contact_key")
_STAGING = "dispatcher_staging"


class SnowflakeStatements:
    """The SQL for two tables, whose names need no quotes.

    The staging table is temporary: only the session has it and its stage, and both end with it.
    Creating it needs no privilege but the use of the schema.
    """

    def __init__(self, table: str, cursor_table: str) -> None:
        key = ", ".join(KEY)
        place = "sink VARCHAR NOT NULL PRIMARY KEY, place VARCHAR NOT NULL"
        self.create = (
            f"CREATE TABLE IF NOT EXISTS {table} ({_columns()}, PRIMARY KEY ({key}))",
            f"CREATE TABLE IF NOT EXISTS {cursor_table} ({place})",
        )
        self.count = f"SELECT count(*) FROM {table}"
        self.staging = f"CREATE OR REPLACE TEMPORARY TABLE {_STAGING} ({_columns()})"
        self.count_staged = f"SELECT count(*) FROM {_STAGING}"
        self.merge = _merge(table, _STAGING)
        self.merge_nothing = _merge(
            table, f"(SELECT {', '.join(COLUMNS)} FROM {table} WHERE FALSE)"
        )
        self.begin_cursor = (
            f"MERGE INTO {cursor_table} AS t USING (SELECT ? AS sink, ? AS place) AS s "
            "ON t.sink = s.sink WHEN NOT MATCHED THEN INSERT (sink, place) VALUES (s.sink, s.place)"
        )
        self.begin_no_cursor = (
            f"MERGE INTO {cursor_table} AS t USING (SELECT '' AS sink WHERE FALSE) AS s "
            "ON t.sink = s.sink WHEN NOT MATCHED THEN INSERT (sink, place) VALUES (s.sink, '')"
        )
        self.cursor = f"SELECT place FROM {cursor_table} WHERE sink = ?"
        self.move = f"UPDATE {cursor_table} SET place = ? WHERE sink = ? AND place = ?"

    def put(self, name: str) -> str:
        """Return the statement that puts a file into the stage; its content is a stream."""
        return f"PUT 'file://{name}' @%{_STAGING} AUTO_COMPRESS = FALSE OVERWRITE = TRUE"

    def copy(self, name: str) -> str:
        """Return the statement that loads a file; FORCE, since the table is as new as the file."""
        return (
            f"COPY INTO {_STAGING} FROM @%{_STAGING}/{name} "
            "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) "
            "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
        )


def _columns() -> str:
    """Return the columns of the lineage; docs/lineage.md describes them."""
    types = dict.fromkeys(TIMES, "TIMESTAMP_TZ") | dict.fromkeys(NUMBERS, "NUMBER")
    return ", ".join(f"{name} {types.get(name, 'VARCHAR')}" for name in COLUMNS)


def _merge(table: str, source: str) -> str:
    same = " AND ".join(f"t.{name} = s.{name}" for name in KEY)
    changed = ", ".join(f"{name} = s.{name}" for name in COLUMNS if name not in KEY)
    names, values = ", ".join(COLUMNS), ", ".join(f"s.{name}" for name in COLUMNS)
    return (
        f"MERGE INTO {table} AS t USING {source} AS s ON {same} "
        f"WHEN MATCHED THEN UPDATE SET {changed} "
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )
