"""Reads the snapshot of a running dispatcher that came through its control socket."""

from functools import cache

from pydantic import TypeAdapter

from dispatcher.ports.snapshot import RunSnapshot


def snapshot_from_json(values: object) -> RunSnapshot:
    """Return the snapshot of which `asdict` made ``values``; what is not known is passed over.

    Raises:
        ValueError: it is none.

    """
    return _adapter().validate_python(values)


@cache
def _adapter() -> TypeAdapter[RunSnapshot]:
    return TypeAdapter(RunSnapshot)
