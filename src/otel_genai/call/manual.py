"""Operations that are reported by hand, because no library call carries them: a server's requests, generated load, spans of one's own.

    operations = ManualOperations("my_server")
    call = operations.begin(Request(operation="chat", provider="my_server", model="small", side=Side.SERVER))
    call.chunk(tokens=1)
    call.finish(Response(finish_reasons=("stop",), usage=Usage(input=5, output=1)))

A call becomes the same span, event, metrics and recording as a call of an instrumented library. None of the methods raises.
A program without telemetry makes no `ManualOperations`, and pays for one comparison with `None`.
"""

from __future__ import annotations

from array import array
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final, Self

from otel_genai.call import context as call_context
from otel_genai.call.deferred import DeferredCall
from otel_genai.call.inbound import inbound_request
from otel_genai.config import Config
from otel_genai.content import Prompt
from otel_genai.endpoint.arguments import Arguments
from otel_genai.endpoint.endpoint import Endpoint, RequestState
from otel_genai.guard import Guard
from otel_genai.operation import Failure, Phase, Response, Side
from otel_genai.semconv import gen_ai
from otel_genai.telemetry.telemetry import Telemetry
from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from otel_genai.call.call import Since
    from otel_genai.operation import EngineStats, Request, Timing

_BEGINNING: Final = Guard("an operation is not reported")
_REPORTING: Final = Guard("an operation lacks part of its report")

_NO_ARGUMENTS: Final = Arguments(None, (), {})


class ManualOperations:
    """The operations of one program or server: they begin here, and go to the providers given here."""

    def __init__(
        self,
        scope: str,
        config: Config | None = None,
        *,
        version: str = __version__,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """`scope` names the instrumentation. Defaults: the settings of the environment, and OpenTelemetry's global providers."""
        self.telemetry = Telemetry(
            scope,
            version,
            Config.from_environment() if config is None else config,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
        )
        """The writer of these operations, for `ServerMiddleware`."""

    def begin(
        self,
        request: Request,
        *,
        prompt: Callable[[], Prompt] = Prompt,
        state: Callable[[bool], RequestState] | None = None,
        headers: Mapping[str, str] | None = None,
        started: float | None = None,
    ) -> ManualCall:
        """Begin an operation in the current context. Its span does not become current (see `ManualCall.current`).

        Within an inbound request, a request of side SERVER takes its operation's name from there; the first one also begins when that
        arrived, as a child of its caller. `headers` are the caller's W3C headers, for a server without `ServerMiddleware`.
        `started` is an earlier beginning on the clock of `time.perf_counter`. `prompt` is called only if content is captured.
        `state`, (with content) → a new state, is for engines that report events (see `ManualCall.notify`).
        """
        reports = _Reports()
        call: DeferredCall | None = None
        with _BEGINNING:
            inbound = inbound_request() if request.side is Side.SERVER else None
            if inbound is None:
                since = _since(started, call_context.carried(headers))
            else:
                request = inbound.as_server(request)
                since = (
                    _since(started, None) if inbound.is_claimed else (inbound.began_ns, inbound.started, inbound.parent)
                )
            endpoint = Endpoint(
                default=request,
                request=lambda _: request,
                prompt=lambda _: prompt(),
                failure=_failure,
                state=lambda _, content: reports.begin(content) if state is None else state(content),
            )
            call = DeferredCall.begin(self.telemetry, endpoint, _NO_ARGUMENTS, since)
            if call is not None and inbound is not None:
                inbound.claim()
        return ManualCall(call, request, reports if state is None else None)

    def engine_stats(self, engine: object, stats: EngineStats) -> None:
        """Report an engine's load. Its gauges last while `engine` lives, which is not kept alive."""
        self.telemetry.report_engine(engine, stats)

    def close(self) -> None:
        """Begin no more operations, and report no more load. Operations that have begun are still reported."""
        self.telemetry.close()


class ManualCall:
    """One operation. It ends once: later reports have no effect."""

    __slots__ = ("_call", "_reports", "_request")

    def __init__(self, call: DeferredCall | None, request: Request, reports: _Reports | None) -> None:
        """`call` is `None` if the operation is not reported; `reports` is `None` if its state is the caller's own."""
        self._call = call
        self._request = request
        self._reports = reports

    @property
    def is_open(self) -> bool:
        """Whether the operation has yet to end. It never begins where instrumentation is suppressed, or inside another of its kind."""
        return self._call is not None

    @property
    def wants_content(self) -> bool:
        """Whether `Response.messages` are reported. Elsewhere they are dropped, and need not be built."""
        return self._reports is not None and self._reports.with_content

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the span current for the length of a block, which must not yield to the application's code."""
        call = self._call
        if call is None:
            yield
            return
        token = call.enter()
        try:
            yield
        finally:
            if call.is_current():  # a generator that is closed in another context has nothing to restore
                call.leave(token)

    def notify(self, event: Any) -> None:
        """Give an event to the `state` that the operation began with. The operation ends as soon as that is over."""
        call = self._call
        if call is not None:
            call.notify(event)
            if call.is_over():
                self.finish()

    def chunk(self, *, tokens: int | None = None, at: float | None = None) -> None:
        """Report a chunk of a streamed response: its output tokens, `None` where they are not counted, and its moment, by default now."""
        if self._reports is not None:
            with _REPORTING:
                self._reports.add_chunk(perf_counter() if at is None else at, tokens)

    def first_token(self, *, at: float | None = None) -> None:
        """Report when the first output was generated. By default that is the first chunk that brings tokens."""
        if self._reports is not None:
            self._reports.first_token = perf_counter() if at is None else at

    def phase(self, name: str, started: float, ended: float) -> None:
        """Report a phase of the operation: `queue`, `prefill`, `decode`, or a name of one's own."""
        if self._reports is not None:
            self._reports.phases = (*self._reports.phases, Phase(name, started, ended))

    def finish(self, response: Response | None = None, *, at: float | None = None) -> None:
        """End the operation: its response is complete. `at` is the moment of the end, by default now."""
        call = self._closed(response, at)
        if call is not None:
            call.finish()

    def fail(
        self, error: BaseException | Failure, response: Response | None = None, *, at: float | None = None
    ) -> None:
        """End the operation because of an error; `response` is the part of the answer that there is."""
        call = self._closed(response, at)
        if call is not None:
            call.fail(_FailureError(error) if isinstance(error, Failure) else error)

    def cancel(self, response: Response | None = None, *, at: float | None = None) -> None:
        """End the operation because its caller wants no more, which is no error. Choices without a finish reason have `abort`."""
        with _REPORTING:
            response = response or Response()
            if self._request.operation in gen_ai.INFERENCE and not response.finish_reasons:
                response = response._replace(finish_reasons=(gen_ai.ABORT,) * (self._request.choice_count or 1))
        self.finish(response, at=at)

    def _closed(self, response: Response | None, at: float | None) -> DeferredCall | None:
        # The call, which is to be ended now; `None` if it has ended.
        call, self._call = self._call, None
        reports, self._reports = self._reports, None
        if reports is not None:
            with _REPORTING:
                reports.end(response, at)
        return call


class _Reports(RequestState):
    """The state of an operation whose parts are reported one by one."""

    def __init__(self) -> None:
        self.first_token: float | None = None
        self.phases: tuple[Phase, ...] = ()
        self.with_content = False
        self._moments = array("d")
        self._tokens: list[int] | None = []
        self._response = Response()
        self._ended: float | None = None

    def begin(self, content: bool) -> Self:
        self.with_content = content
        return self

    def add(self, chunk: Any) -> bool:  # noqa: ARG002  # there are no events
        return False

    def add_chunk(self, moment: float, tokens: int | None) -> None:
        self._moments.append(moment)
        if tokens and self.first_token is None:
            self.first_token = moment
        if tokens is None:
            self._tokens = None
        elif self._tokens is not None:
            self._tokens.append(tokens)

    def end(self, response: Response | None, ended: float | None) -> None:
        self._ended = ended
        if response is not None:
            self._response = response._replace(messages=response.messages if self.with_content else ())

    def is_over(self) -> bool:
        return False

    def response(self) -> Response:
        return self._response

    def failure(self, content: bool) -> Failure | None:  # noqa: ARG002
        return None

    def timing(self, measured: Timing) -> Timing:
        return measured._replace(
            ended=measured.ended if self._ended is None else self._ended,
            chunks=self._moments,
            waits=(0.0,) * len(self._moments),
            tokens=self._tokens or (),
            phases=(*measured.phases, *self.phases),
            first_token=self.first_token,
        )


class _FailureError(Exception):
    """Carries a failure that no exception caused."""

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure


def _failure(error: BaseException, content: bool) -> Failure:
    if isinstance(error, _FailureError):
        return error.failure if content else replace(error.failure, message=None, stacktrace=None)
    return Failure.of(error, message=str(error) if content else None)


def _since(started: float | None, parent: Context | None) -> Since:
    now_ns, now = time_ns(), perf_counter()
    return (now_ns, now, parent) if started is None else (now_ns - round((now - started) * 1e9), started, parent)
