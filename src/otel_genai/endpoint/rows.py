"""Rows: a provider's table of the places in a library that are wrapped. Each kind of row names its driver.

A row may name a part of itself by its location, `package.module:NAME`. Such a part is imported when the row's module is imported, and so is
the driver. Rows are named tuples because every start creates these classes: as frozen dataclasses they take five times as long.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from otel_genai.config import Config
    from otel_genai.endpoint.endpoint import Endpoint


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
        A row with a method `applies` (config → bool) is left out where that is False.
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

    def applies(self, config: Config) -> bool:
        """Unless the user propagates the trace context by other means, or not at all."""
        return config.propagate

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
