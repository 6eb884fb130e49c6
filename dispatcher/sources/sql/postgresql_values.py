"""Values of PostgreSQL that Python has no type for."""

from typing import Any


def keep_far_dates(connection: Any, _record: object) -> None:
    """Make a connection of psycopg return dates that Python cannot hold as text.

    Infinity, a year before 1 or after 9999: otherwise one of them makes its whole page unreadable.
    """
    import psycopg  # noqa: PLC0415 - an optional extra
    from psycopg.adapt import Loader  # noqa: PLC0415 - as above
    from psycopg.pq import Format  # noqa: PLC0415 - as above

    def keeping(usual: Any) -> type[Loader]:
        class FarDateLoader(Loader):
            """Loads as usual, or text."""

            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._usual = usual(oid, context)

            def load(self, data: Any) -> object:
                """Return a date or a text."""
                try:
                    return self._usual.load(data)
                except psycopg.DataError:
                    return bytes(data).decode()

        return FarDateLoader

    adapters = connection.adapters
    for name in ("date", "timestamp", "timestamptz"):
        oid = adapters.types[name].oid
        usual = adapters.get_loader(oid, Format.TEXT)
        adapters.register_loader(oid, keeping(usual))
