"""Rows: a provider's table of the places in a library that are wrapped. Each kind of row names its driver.

A row may name a part of itself by its location, `package.module:NAME`. Such a part is imported when the row's module is imported, and so is
the driver. Rows are named tuples because every start creates these classes: as frozen dataclasses they take five times as long.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint
    from otel_genai.operation import EngineStats, Request


class Row(Protocol):
    """One place in a library."""

    @property
    def module(self) -> str:
        """The module that defines or re-exports the target. It is never imported for the row's sake: the row waits for its import."""

    @property
    def target(self) -> str:
        """`function`, `Class.method` or `Class`; a class stands for the creation of its instances."""

    @property
    def optional(self) -> bool:
        """Whether supported versions of the library exist without the target. Otherwise its absence is a warning."""

    @property
    def driver(self) -> str:
        """The location of the function that builds the driver: (row, the target's function, `Scope`) → `Driver`.

        A row with a property `replaces_target` gets a plain function in the target's place instead, because that is the fastest to call.
        """


def resolve(part: Any) -> Any:
    """A part of a row: itself, or the object at its location. Raises ImportError or AttributeError if there is none."""
    if not isinstance(part, str):
        return part
    module, _, name = part.partition(":")
    return getattr(import_module(module), name)


class CallRow(NamedTuple):
    """A call of the library that is one operation."""

    module: str
    target: str
    endpoint: Endpoint | str
    """How the call reads."""
    awaits: bool | None = False
    """Whether the call returns an awaitable. Stated here because decorators hide it from `inspect`, which `None` asks."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.patching.drivers:call_driver"

    def resolve(self) -> Endpoint:
        """The endpoint."""
        endpoint: Endpoint = resolve(self.endpoint)
        return endpoint


class StepRow(NamedTuple):
    """A method that a library calls after every step of an operation, with or without a streamer."""

    module: str
    target: str
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.patching.drivers:step_driver"

    @property
    def replaces_target(self) -> bool:
        """See `Row.driver`."""
        return True


class PhaseRow(NamedTuple):
    """A function that does one phase of an operation."""

    module: str
    target: str
    phase: str
    """The name of the phase."""
    operation: str
    """`Request.kind` of the operation. Outside of one, calls of the target are not timed."""
    read: Callable[[Any], Mapping[str, Any]] | str | None = None
    """(result of the target) → attributes of the operation (see `Response.extra`); `None` for a result that has none."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.call.phases:phase_driver"

    def resolve(self) -> Callable[[Any], Mapping[str, Any]] | None:
        """`read`."""
        read: Callable[[Any], Mapping[str, Any]] | None = resolve(self.read)
        return read


class ContextRow(NamedTuple):
    """A place where work moves to another thread or task, and the context with it or not."""

    module: str
    target: str
    policy: Literal["capture", "carry", "detach"]
    """
    - `capture`: the target is the `__init__` of an object; a call that is given the object in a bare thread is a child of the span that was
      current here (see `Endpoint.origin`)
    - `carry`: the target's first argument is a function for another thread; it runs in the context of here
    - `detach`: the target starts work that serves all requests; it has no parent
    """
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.patching.context:context_driver"


class RequestHeadersRow(NamedTuple):
    """A method that builds and returns one HTTP request, called once an attempt. The trace context enters its headers."""

    module: str
    target: str
    headers: Callable[[Any], MutableMapping[str, str]]
    """(request) → its headers: the library's own object, not the caller's."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.http.headers:request_headers_driver"

    @property
    def replaces_target(self) -> bool:
        """See `Row.driver`."""
        return True


class ResponseHeadersRow(NamedTuple):
    """A method that receives each HTTP response, whose headers hold facts that the body lacks."""

    module: str
    target: str
    response: str
    """The keyword by which the method receives the response; its `headers` are a mapping without regard to case."""
    served_model: str
    """The header that names the model that answered, in responses that have it."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.http.headers:response_headers_driver"

    @property
    def replaces_target(self) -> bool:
        """See `Row.driver`."""
        return True


Place = Literal["submit", "started", "step", "finished", "failed"]


def _instance(arguments: Arguments) -> Any:
    return arguments.instance


class EngineRow(NamedTuple):
    """A method of an engine, which answers requests in its own time, and many of them in one step.

    | Place | The method | `read` |
    | --- | --- | --- |
    | `submit` | accepts a request; its span is current meanwhile, its exception is the request's failure | none; `endpoint` reads it |
    | `started` | learns of a sequence of the request, inside `submit` | (arguments) → (sequence, event); called after the method |
    | `step` | receives all output of one step | (arguments, states by sequence, time of the call) → `None`; called after the method |
    | `finished` | reports on sequences | (arguments, result) → (sequence, event) for each; called after the method |
    | `failed` | fails all requests of the engine | (arguments) → the error; without `read`, an exception of the method is the error |

    The endpoint of `submit` has a `state`, which receives the events. With a `key`, the request is its only sequence, and each event is a
    chunk with a time. Without one, `started` names the sequences, and events have no time of their own.
    """

    module: str
    target: str
    place: Place
    endpoint: Endpoint | str | None = None
    read: Callable[..., Any] | str | None = None
    engine: Callable[[Arguments], Any] = _instance
    """(arguments) → the object that stands for the engine in all places; it must be hashable and weakly referable."""
    awaits: bool = False
    """Whether `submit` returns an awaitable."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.server.engine:engine_driver"

    def resolve(self) -> Endpoint:
        """The endpoint of `submit`. Raises TypeError without one."""
        endpoint: Endpoint | None = resolve(self.endpoint)
        if endpoint is None:
            raise TypeError(f"the row of {self.target} has the place {self.place!r} and needs an endpoint")
        return endpoint

    def reader(self) -> Callable[..., Any]:
        """`read`. Raises TypeError without one."""
        read: Callable[..., Any] | None = resolve(self.read)
        if read is None:
            raise TypeError(f"the row of {self.target} has the place {self.place!r} and needs `read`")
        return read


class StatsRow(NamedTuple):
    """A method through which an engine reports its load, after a step or at any time."""

    module: str
    target: str
    """`Class.method`; the instance is the engine. Its latest report counts while it lives."""
    read: Callable[[Arguments], EngineStats | None] | str
    """(arguments) → the load, `None` if there is none in them. Called after the method."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.server.engine_stats:stats_driver"

    def resolve(self) -> Callable[[Arguments], EngineStats | None]:
        """`read`."""
        read: Callable[[Arguments], EngineStats | None] = resolve(self.read)
        return read


class ArgumentRow(NamedTuple):
    """An argument of an engine's constructor that makes it keep statistics. It is set if the user switches engine statistics on."""

    module: str
    target: str
    parameter: str
    value: Any
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.server.engine_stats:argument_driver"


class AsgiAppRow(NamedTuple):
    """A function that builds the ASGI application of a model server (Starlette's kind), or is given it. Instrumented once."""

    module: str
    target: str
    operations: Mapping[str, str]
    """Path → `gen_ai.operation.name` of its requests."""
    provider: str | None = None
    """`gen_ai.provider.name` of requests that the application refuses before it asks a model. `None`: they are not reported."""
    is_given: bool = False
    """Whether the application is the function's first argument, and not its result."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.server.asgi:app_driver"


class StartupRow(NamedTuple):
    """A function that creates an engine. The cold start of the process ends with the first request that an engine serves."""

    module: str
    target: str
    request: Request
    """The request of the cold start's operation."""
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.server.cold_start:startup_driver"


class LibrarySpansRow(NamedTuple):
    """A function with which a library makes spans of its own: it reports one, sets a provider, or looks for a parent."""

    module: str
    target: str
    part: Literal["report", "provider", "parent"]
    optional: bool = False

    @property
    def driver(self) -> str:
        """See `Row.driver`."""
        return "otel_genai.server.library_spans:library_spans_driver"
