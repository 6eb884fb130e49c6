"""Declares the values that are made for each contact or request."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(cls: type[T]) -> type[T]:
    """Make ``cls`` a dataclass that is equal to others by its fields, and hashable.

    The type checker reports an assignment to a field, as for ``frozen=True``. There is no check at
    run time: it makes construction three times as slow, and a run took 13% more CPU time.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
