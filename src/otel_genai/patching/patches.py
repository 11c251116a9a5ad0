"""Applies a provider's rows when their modules arrive, and takes them back."""

from __future__ import annotations

import inspect
import sys
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Final, SupportsIndex

import wrapt

from otel_genai.call import context as call_context
from otel_genai.endpoint.endpoint import Arguments
from otel_genai.endpoint.rows import (
    ArgumentRow,
    AsgiAppRow,
    Background,
    Beat,
    Binding,
    Collapse,
    Driven,
    Ending,
    Gate,
    Handoff,
    LibrarySpansRow,
    Maker,
    News,
    PhaseRow,
    RequestHeadersRow,
    ResponseHeadersRow,
    Row,
    StartupRow,
    StatsRow,
    StepRow,
)
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_genai.patching.drivers import Driver
    from otel_genai.server.cold_start import ColdStart
    from otel_genai.server.engine import Engines
    from otel_genai.server.pending import Requests
    from otel_genai.telemetry.telemetry import Telemetry

_INJECTING: Final = Guard("a request does not carry the trace context")
_REMEMBERING: Final = Guard("a call in another thread is a trace of its own")
_HANDING: Final = Guard("a call in another thread is a trace of its own")
_LISTENING: Final = Guard("the metrics lack part of an engine's load")
_NOTING: Final = Guard("the model is reported as the response's body has it")


class Patches:
    """The rows of one provider, applied or not."""

    def __init__(self, rows: Iterable[Row], telemetry: Callable[[], Telemetry]) -> None:
        """`telemetry` is called, once, when the first of the rows finds its module: until then nothing is paid for."""
        self._rows = tuple(rows)
        self._telemetry = cache(telemetry)
        self._requests = cache(self._make_requests)
        self._engines = cache(self._make_engines)
        self._cold_start = cache(self._make_cold_start)
        self._active = False
        # (class, attribute, our wrapper, what was there; `None` where it was inherited)
        self._applied: list[tuple[Any, str, Any, Any]] = []

    def apply(self) -> None:
        """Patch what is imported already, and the rest as it arrives. Nothing is imported for our sake."""
        self._active = True
        for row in self._rows:
            lost = Guard(
                f"{row.target} of {row.module} is not instrumented: this version of the library may have moved it"
            )

            def arrive(module: Any, row: Row = row, lost: Guard = lost) -> None:
                # wrapt keeps a hook for ever, and an error in it would break the application's import.
                with lost:
                    if self._active:
                        self._wrap(module, row)

            wrapt.register_post_import_hook(arrive, row.module)
            # Run as a program, a module goes by another name; we may come when it is under way.
            main = sys.modules.get("__main__")
            is_it = getattr(getattr(main, "__spec__", None), "name", None) == row.module
            if is_it and hasattr(main, row.target.partition(".")[0]):
                arrive(main)

    def revert(self) -> None:
        """Put back what was there. A wrapper that somebody else has wrapped since stays, and does nothing."""
        self._active = False
        if self._applied:
            self._telemetry().close()
        # The last first: two rows may have wrapped one target, the second around the first.
        for owner, attribute, wrapper, original in reversed(self._applied):
            if vars(owner).get(attribute) is not wrapper:
                continue
            if original is None:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)
        self._applied.clear()

    def _wrap(self, module: Any, row: Row) -> None:
        try:
            owner, attribute, found = wrapt.resolve_path(module, row.target)
        except AttributeError:
            if getattr(row, "optional", False):
                return
            raise
        if isinstance(found, type):
            # A class stays one: what is wrapped is the making of its instances.
            owner, attribute, found = found, "__init__", found.__init__  # type: ignore[misc]
        wrapper = self._wrapper(row, found)
        self._applied.append((owner, attribute, wrapper, vars(owner).get(attribute)))
        wrapt.apply_patch(owner, attribute, wrapper)

    def _wrapper(self, row: Row, found: Any) -> Any:
        if isinstance(row, StepRow):
            from otel_genai.patching import drivers

            return drivers.stepping(found)
        if isinstance(row, RequestHeadersRow):
            return _injecting(row, found)
        if isinstance(row, ResponseHeadersRow):
            return _noting(row, found)
        return _Wrapper(found, self._driver(row, found))

    def _driver(self, row: Driven, found: Any) -> Driver:
        if isinstance(row, Maker):
            return _remembering
        if isinstance(row, Handoff):
            return _handing_over
        if isinstance(row, Background):
            return _for_nobody
        if isinstance(row, ArgumentRow):
            return _overriding(row, found)
        # Only now: all that a call needs is imported when the first module arrives in which there are calls.
        from otel_genai.call import phases
        from otel_genai.patching import drivers
        from otel_genai.server import asgi, library_spans

        if isinstance(row, AsgiAppRow):
            return asgi.instrument_app(row, self._telemetry())
        if isinstance(row, PhaseRow):
            return phases.timing(row)
        if isinstance(row, LibrarySpansRow):
            return library_spans.driver(row)
        if isinstance(row, StartupRow):
            return self._cold_start().making(row)
        if isinstance(row, StatsRow):
            return _listening(row, self._telemetry())
        if isinstance(row, News):
            return self._requests().hearing(row)
        if isinstance(row, Gate):
            return self._engines().gating(row)
        if isinstance(row, Binding):
            return self._engines().binding(row)
        if isinstance(row, Beat):
            return self._engines().beating(row)
        if isinstance(row, Ending):
            return self._engines().ending(row)
        if isinstance(row, Collapse):
            return self._engines().collapsing(row)
        endpoint = row.load()
        if endpoint.state is not None:
            return self._requests().opening(endpoint)
        awaits = _awaits(found) if row.awaits is None else row.awaits
        if awaits:
            return drivers.awaiting(self._telemetry(), endpoint)
        if endpoint.tap is not None:
            return drivers.tapping(self._telemetry(), endpoint, endpoint.tap)
        return drivers.calling(self._telemetry(), endpoint)

    def _make_requests(self) -> Requests:
        from otel_genai.server.pending import Requests

        return Requests(self._telemetry())

    def _make_cold_start(self) -> ColdStart:
        from otel_genai.server.cold_start import ColdStart

        return ColdStart(self._telemetry())

    def _make_engines(self) -> Engines:
        from otel_genai.server.engine import Engines

        return Engines(self._telemetry())


class _BoundWrapper(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]  # generic in wrapt's stubs only
    """A method with us around it. Whoever pickles it pickles where it is found, as with any method."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return getattr, (self._self_instance, self.__wrapped__.__name__)


class _Wrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A function with us around it. It is pickled by its name and copied by reference, as functions are."""

    __bound_function_wrapper__ = _BoundWrapper

    def __reduce_ex__(self, protocol: SupportsIndex) -> str:
        return str(self.__qualname__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


def _awaits(function: Any) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(getattr(function, "__func__", function)))


# Of the library's own business, in the middle of every call: a plain function takes the method's place, for that is called quickest.


def _injecting(carrier: RequestHeadersRow, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def build(*args: Any, **kwargs: Any) -> Any:
        request = method(*args, **kwargs)
        try:
            call_context.inject(carrier.headers(request))
        except Exception as error:
            if not _INJECTING.takes(error):
                raise
        return request

    return build


def _noting(reply: ResponseHeadersRow, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def process(*args: Any, **kwargs: Any) -> Any:
        try:
            served_model = reply.served_model(kwargs)
            underway = None if served_model is None else call_context.current_operation()
            if underway is not None:
                underway.served_model = served_model
        except Exception as error:
            if not _NOTING.takes(error):
                raise
        return method(*args, **kwargs)

    return process


def _handing_over(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with _HANDING:
        if args:
            args = (call_context.bound_to_context(args[0]), *args[1:])
    return wrapped(*args, **kwargs)


def _overriding(row: ArgumentRow, found: Any) -> Driver:
    position = list(inspect.signature(found).parameters).index(row.parameter) - 1  # of a method

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        if len(args) > position:
            return wrapped(*args[:position], row.value, *args[position + 1 :], **kwargs)
        return wrapped(*args, **{**kwargs, row.parameter: row.value})

    return drive


def _listening(row: StatsRow, telemetry: Telemetry) -> Driver:
    read = row.load()

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        with _LISTENING:
            load = read(Arguments(instance, args, kwargs))
            if load is not None:
                telemetry.report_engine(instance, load)
        return result

    return drive


def _for_nobody(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with call_context.detached():
        return wrapped(*args, **kwargs)


def _remembering(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    made = wrapped(*args, **kwargs)
    with _REMEMBERING:
        call_context.note_creation(instance)
    return made
