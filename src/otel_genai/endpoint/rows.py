"""What a provider's table is made of: places in a library, and what each of them is.

A row that names where a part of it stands (`package.module:NAME`) has that imported when the row's own module arrives.

Rows are named tuples because every start makes these classes anew: as frozen dataclasses they take five times as long.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping

    from otel_genai.endpoint.endpoint import Arguments, Endpoint
    from otel_genai.operation import EngineStats, Request


def _loaded(what: Any) -> Any:
    # What a row is made of, or where that stands.
    if not isinstance(what, str):
        return what
    module, _, name = what.partition(":")
    return getattr(import_module(module), name)


def _no_facts(result: Any) -> Mapping[str, Any]:  # noqa: ARG001
    return {}


class CallRow(NamedTuple):
    """One row of a provider's table: where a call is found, and how it reads."""

    module: str
    """Module in which the class is defined or re-exported. It is never imported by us: the patch waits for its import."""
    target: str
    """`Class.method`."""
    endpoint: Endpoint | str
    """How it reads; or where that stands (`package.module:NAME`), for rooms that are imported when their module arrives."""
    awaits: bool | None = False
    """Whether the call returns an awaitable. Stated here because decorators hide it from `inspect`, which is asked if this is `None`."""
    optional: bool = False
    """Whether supported versions of the library exist that lack the target; otherwise its absence is worth a warning."""

    def load(self) -> Endpoint:
        """The endpoint, imported if need be."""
        endpoint: Endpoint = _loaded(self.endpoint)
        return endpoint


class RequestHeadersRow(NamedTuple):
    """One row of a provider's table: where an outgoing request is built, and its headers found."""

    module: str
    target: str
    """`Class.method` that builds and returns one HTTP request; called once an attempt."""
    headers: Callable[[Any], MutableMapping[str, str]]
    """The built request → its headers, which are the library's own and not the caller's."""


class ResponseHeadersRow(NamedTuple):
    """One row of a provider's table: where a response arrives whose headers say what its body does not."""

    module: str
    target: str
    """`Class.method` that is given each HTTP response."""
    served_model: Callable[[Mapping[str, Any]], str | None]
    """The method's keyword arguments → the model that really answered; `None` if that is for the body to say."""


class Maker(NamedTuple):
    """One row of a provider's table: where objects are made that a call in another thread is given (see `Endpoint.origin`)."""

    module: str
    target: str
    """`Class.__init__`."""


class StepRow(NamedTuple):
    """One row of a provider's table: what a library calls after every step of an operation, whoever listens."""

    module: str
    target: str
    """`Class.method`."""
    optional: bool = False


class PhaseRow(NamedTuple):
    """One row of a provider's table: where a part of an operation is done whose time is worth knowing."""

    module: str
    target: str
    """`function` or `Class.method`, called while the operation is under way."""
    phase: str
    """What the part is called."""
    of: str
    """The operation: elsewhere the target is left alone."""
    extra: Callable[[Any], Mapping[str, Any]] | str = _no_facts
    """What the part returned → what that says of the operation (see `Response.extra`); or where that function stands."""
    optional: bool = False

    def load(self) -> Callable[[Any], Mapping[str, Any]]:
        """`extra`, imported if need be."""
        extra: Callable[[Any], Mapping[str, Any]] = _loaded(self.extra)
        return extra


class News(NamedTuple):
    """One row of a provider's table: where word passes by of requests whose endpoint has an `state`."""

    module: str
    target: str
    told: Callable[[Arguments], Iterable[tuple[Hashable, Any]]] | str
    """The method's arguments → (key, chunk) for each request that they tell of; or where that function stands.

    It is asked before the method is called.
    """
    optional: bool = False

    def load(self) -> Callable[[Arguments], Iterable[tuple[Hashable, Any]]]:
        """`told`, imported if need be."""
        told: Callable[[Arguments], Iterable[tuple[Hashable, Any]]] = _loaded(self.told)
        return told


class Gate(NamedTuple):
    """One row of a provider's table: where a request enters an engine, which tells of it elsewhere.

    The request's span is current while the gate works, and what the gate raises is the request's failure.
    """

    module: str
    target: str
    endpoint: Endpoint | str
    """How it reads, with an `state`; or where that stands."""
    awaits: bool = False
    optional: bool = False

    def load(self) -> Endpoint:
        """The endpoint, imported if need be."""
        endpoint: Endpoint = _loaded(self.endpoint)
        return endpoint


class Binding(NamedTuple):
    """One row of a provider's table: where an engine is told, within a gate, of the sequences of a request."""

    module: str
    target: str
    """`Class.method`; the instance is whoever tells of the sequence later on."""
    bound: Callable[[Arguments], tuple[Hashable, Any]] | str
    """The method's arguments → what the instance calls the sequence, and a word for the state. Asked after the method."""

    def load(self) -> Callable[[Arguments], tuple[Hashable, Any]]:
        """`bound`, imported if need be."""
        bound: Callable[[Arguments], tuple[Hashable, Any]] = _loaded(self.bound)
        return bound


class Beat(NamedTuple):
    """One row of a provider's table: what is called with all that one step of an engine has generated."""

    module: str
    target: str
    told: Callable[[Arguments, Mapping[Hashable, Any], float], None] | str
    """(the method's arguments, the states of the instance's sequences, the moment when the method was called) → nothing.

    It tells each state what is new, after the method. The only function that is called at every step, for all sequences at once.
    """

    def load(self) -> Callable[[Arguments, Mapping[Hashable, Any], float], None]:
        """`told`, imported if need be."""
        told: Callable[[Arguments, Mapping[Hashable, Any], float], None] = _loaded(self.told)
        return told


class Ending(NamedTuple):
    """One row of a provider's table: where an engine says of sequences that they are over."""

    module: str
    target: str
    told: Callable[[Arguments, Any], Iterable[tuple[Hashable, Any]]] | str
    """(the method's arguments, its result) → (what the instance calls the sequence, a word for its state) for each."""

    def load(self) -> Callable[[Arguments, Any], Iterable[tuple[Hashable, Any]]]:
        """`told`, imported if need be."""
        told: Callable[[Arguments, Any], Iterable[tuple[Hashable, Any]]] = _loaded(self.told)
        return told


class Collapse(NamedTuple):
    """One row of a provider's table: where everything fails that an engine works on."""

    module: str
    target: str
    teller: Callable[[Arguments], Any]
    """The method's arguments → whoever tells of the sequences (see `Binding`)."""
    error: Callable[[Arguments], BaseException] | None = None
    """The method's arguments → what went wrong; `None` if it is what the method raises."""


class StatsRow(NamedTuple):
    """One row of a provider's table: where an engine tells of its load, after a step or whenever it likes."""

    module: str
    target: str
    """`Class.method`; the instance is the engine: what it told last holds while it lives."""
    told: Callable[[Arguments], EngineStats | None] | str
    """The method's arguments → the load, if they tell of one; or where that function stands. Asked after the method."""
    optional: bool = False

    def load(self) -> Callable[[Arguments], EngineStats | None]:
        """`told`, imported if need be."""
        told: Callable[[Arguments], EngineStats | None] = _loaded(self.told)
        return told


class ArgumentRow(NamedTuple):
    """One row of a provider's table: an argument that has an engine keep statistics, set if the user asks us to."""

    module: str
    target: str
    parameter: str
    value: Any


class Handoff(NamedTuple):
    """One row of a provider's table: where a function is handed to another thread, to be called for whoever hands it over."""

    module: str
    target: str
    """`Class.method`, whose first argument is the function."""
    optional: bool = False


class Background(NamedTuple):
    """One row of a provider's table: where a task or thread is started that outlives whoever happens to start it, and works for nobody."""

    module: str
    target: str
    optional: bool = False


class AsgiAppRow(NamedTuple):
    """One row of a provider's table: where a library builds the ASGI application in which it serves a model, or begins to serve it.

    One that passes by twice is the same.
    """

    module: str
    target: str
    """The function that returns the application, which is of Starlette's kind."""
    operations: Mapping[str, str]
    """Path → `gen_ai.operation.name` of the requests that come there."""
    provider: str | None = None
    """`gen_ai.provider.name` of requests that the application refuses before any model is asked; `None` leaves those out."""
    is_given: bool = False
    """Whether the function is given the application, as its first argument, and does not return it."""
    optional: bool = False


class StartupRow(NamedTuple):
    """One row of a provider's table: where a process makes ready what it is for. Its cold start ends with the first request served."""

    module: str
    target: str
    of: Request
    optional: bool = False


class LibrarySpansRow(NamedTuple):
    """One row of a provider's table: a library's own `report`, its setting of a `provider`, its search for a `parent`."""

    module: str
    target: str
    part: Literal["report", "provider", "parent"]
    optional: bool = False


Answers = News | Gate | Binding | Beat | Ending | Collapse
Driven = (
    CallRow
    | Maker
    | PhaseRow
    | StatsRow
    | ArgumentRow
    | Handoff
    | Background
    | AsgiAppRow
    | StartupRow
    | LibrarySpansRow
    | Answers
)
"""Rows whose target is wrapped in a driver."""
Row = Driven | StepRow | RequestHeadersRow | ResponseHeadersRow
"""What a provider's table is made of."""
