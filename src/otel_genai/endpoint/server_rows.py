"""Rows of model servers: engines, their statistics, their applications, and their start. See `rows` for the rows of every library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from otel_genai.endpoint.rows import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.config import Config
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint
    from otel_genai.operation import EngineStats, Request

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

    def applies(self, config: Config) -> bool:
        """Only where the user switches engine statistics on."""
        return config.engine_stats


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

    def applies(self, config: Config) -> bool:
        """Unless the user wants the library's duplicates of our spans."""
        return not (config.native_spans and self.part == "report")
