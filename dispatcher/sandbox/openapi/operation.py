"""What a document is made of: operations, and the requests that are played for its examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel

from dispatcher.sandbox.scenario.value_types import DialectName


@dataclass(frozen=True, slots=True)
class Play:
    """One request that is played in the sandbox; its answer is an example of the document."""

    name: str
    """The key of the example."""
    summary: str
    """Why the answer is what it is; a part of the description of its status."""
    path: tuple[str, ...] = ()
    """The values of the parameters in the path, in their order."""
    body: object = None
    query: str = ""
    scenario: Mapping[str, object] = field(default_factory=dict)
    """The scenario in which the answer is this one."""
    pair: str = ""
    """Other credentials for a token request than those of the scenario."""


class QueryParameter(NamedTuple):
    """A parameter of the query string."""

    name: str
    description: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of a dialect."""

    endpoints: tuple[str, ...]
    """Its names in counts, faults and latencies."""
    method: str
    path: str
    """With the names of its parameters in braces."""
    name: str
    """The operation's id."""
    tag: str
    summary: str
    description: str
    request: type[BaseModel] | None = None
    query: tuple[QueryParameter, ...] = ()
    answer: type[BaseModel] | None
    """The body of an answer that is no refusal; None: an empty text."""
    error: type[BaseModel]
    scopes: tuple[str, ...] = ()
    """One of them is enough."""
    plays: Sequence[Play]

    @property
    def is_token(self) -> bool:
        """Whether it needs the client's id and secret in place of a token, and no quota."""
        return "token" in self.endpoints


class DialectDescription(NamedTuple):
    """All that the document of one dialect needs."""

    dialect: DialectName
    title: str
    text: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    """What the parameters in paths are, by their names."""
    token_path: str
    scopes: Mapping[str, str]
    operations: tuple[Operation, ...]
