"""The simulator's telemetry as a model server: a span and an event for every request, and the metrics of its engine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from otel_genai.call.manual import ManualOperations
from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import SteppedRequestState
from otel_genai.guard import Guard
from otel_genai.instrumentors.options import InstrumentOptions
from otel_genai.operation import EngineStats, Failure, Phase, Request, Response, Side, Usage
from otel_genai.recording.recorder import record_to
from otel_genai.semconv import gen_ai, otel_genai
from otel_genai.server.asgi import ServerMiddleware
from otel_genai.simulator.engine.inference import Finish, Token
from otel_genai.simulator.engine.lifecycle import ABORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp

    from otel_genai.call.manual import ManualCall
    from otel_genai.operation import Timing
    from otel_genai.simulator.engine.inference import Inference
    from otel_genai.simulator.engine.lifecycle import EngineLoad, SequenceTimes, StepOutput, SubmittedRequest

_SCOPE: Final = "otel_genai.instrumentors.simulator"
"""The instrumentation scope of spans, events and metrics."""
_RECORDING: Final = Guard("operations are not recorded to a file")
_OPERATION_NAMES: Final = {
    "/v1/chat/completions": gen_ai.CHAT,
    "/v1/responses": gen_ai.CHAT,
    "/v1/completions": gen_ai.TEXT_COMPLETION,
    "/v1/embeddings": gen_ai.EMBEDDINGS,
}
"""Path → `gen_ai.operation.name` of its requests."""
_REQUEST: Final = Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.SIMULATOR, side=Side.SERVER)


def request_of(inference: Inference) -> Request:
    """The request without its operation name, which depends on the path of the inbound request."""
    sampling = inference.sampling
    if inference.pooled:
        return _REQUEST._replace(operation=gen_ai.EMBEDDINGS, model=inference.model)
    return _REQUEST._replace(
        model=inference.model,
        stream=inference.stream,
        choice_count=sampling.n,
        choices_due=sampling.n * len(inference.prompts),
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        stop_sequences=sampling.stop or None,
        seed=sampling.seed,
    )


def prompt_of(inference: Inference) -> Prompt:
    """The prompts as the model reads them: one text each, with all messages of a chat."""
    return Prompt(messages=tuple(Message("user", (Text(prompt),)) for prompt in inference.prompts))


class Cancellation(NamedTuple):
    """The caller no longer wants a sequence."""

    sequence: SequenceTimes


class ServedRequest(SteppedRequestState):
    """The state of one request: its sequences, in the order of its choices, and their output."""

    def __init__(self, request: SubmittedRequest, sequences: Sequence[SequenceTimes]) -> None:
        super().__init__()
        self._request = request
        self._sequences = sequences
        self._texts: dict[SequenceTimes, list[str]] | None = None
        self._finish_reasons: dict[SequenceTimes, str] = {}

    def begin(self, content: bool) -> Self:
        """The state itself, when its operation begins; it collects the texts if `content`."""
        self._texts = {} if content else None
        return self

    def add(self, event: StepOutput | Cancellation) -> bool:
        """Take in the output of a step, or the cancellation, of one of the sequences."""
        if isinstance(event, Cancellation):
            self._finish_reasons[event.sequence] = ABORT
            return False
        sequence, outputs, at = event
        for output in outputs:
            if isinstance(output, Token):
                self.moments.append(at)
                self.counts.append(1)
                if self._texts is not None:
                    self._texts.setdefault(sequence, []).append(output.text)
            elif isinstance(output, Finish):
                self._finish_reasons[sequence] = output.reason
        return False

    def is_over(self) -> bool:
        """Whether all sequences are over."""
        return len(self._finish_reasons) == len(self._sequences)

    def response(self) -> Response:
        """The response so far."""
        inference = self._request.inference
        prompts = self._sequences[:: inference.sampling.n]
        return Response(
            id=None if inference.pooled else inference.id,
            model=inference.model,
            finish_reasons=() if inference.pooled else tuple(map(self._finish_reason, self._sequences)),
            usage=Usage(
                input=sum(sequence.prompt_tokens for sequence in prompts),
                output=None if inference.pooled else len(self.moments),
                cache_read=sum(sequence.cached_tokens for sequence in prompts),
            ),
            messages=() if self._texts is None or inference.pooled else tuple(map(self._message, self._sequences)),
        )

    def _finish_reason(self, sequence: SequenceTimes) -> str:
        return self._finish_reasons.get(sequence, gen_ai.ERROR)

    def _message(self, sequence: SequenceTimes) -> Message:
        text = "".join((self._texts or {}).get(sequence, ()))
        return Message("assistant", (Text(text),) if text else (), finish_reason=self._finish_reason(sequence))

    def failure(self, content: bool) -> Failure | None:  # noqa: ARG002
        """`None`: the engine answers every request that it accepts."""
        return None

    def timing(self, observed: Timing) -> Timing:
        """The steps that generated tokens as chunks, and the phases up to the last one that began."""
        timing = self.stepped(observed, to_the_end=ABORT not in self._finish_reasons.values())
        return timing._replace(phases=(*observed.phases, *self._phases(observed, timing.chunks)))

    def _phases(self, observed: Timing, chunks: Sequence[float]) -> Iterator[Phase]:
        submitted = self._request.submitted
        if submitted > observed.started:
            yield Phase(otel_genai.PREPROCESS, observed.started, submitted)
        scheduled = min((each.scheduled for each in self._sequences if each.scheduled is not None), default=None)
        if scheduled is None:
            return
        yield Phase(otel_genai.QUEUE, submitted, scheduled)
        prefilled = min((each.prefilled for each in self._sequences if each.prefilled is not None), default=None)
        if prefilled is not None:
            yield Phase(otel_genai.PREFILL, scheduled, prefilled)
            if chunks:
                yield Phase(otel_genai.DECODE, prefilled, chunks[-1])


class ServerTelemetry:
    """The telemetry of the servers in this process."""

    def __init__(self, **options: Any) -> None:
        """`options` are those of `otel_genai.instrument`. The environment is read now."""
        config, providers = InstrumentOptions.parse(**options)
        self._operations = ManualOperations(_SCOPE, config, **providers)
        if config.record_file is not None:
            with _RECORDING:
                record_to(config.record_file, config.record_limit)

    def observer(self, model: str) -> EngineObserver:
        """The observer of an engine that serves `model`."""
        return EngineObserver(self._operations, model)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """The application, whose requests are the parents of their operations. A refused request has a span, too."""
        telemetry = self._operations.telemetry
        return ServerMiddleware(app, operations=_OPERATION_NAMES, provider=otel_genai.SIMULATOR, telemetry=telemetry)


class EngineObserver:
    """Reports the requests of one engine, and its load."""

    def __init__(self, operations: ManualOperations, model: str) -> None:
        self._operations = operations
        self._model = model
        self._open: dict[SequenceTimes, tuple[ManualCall, ServedRequest]] = {}

    def submitted(self, request: SubmittedRequest, sequences: Sequence[SequenceTimes]) -> None:
        """Begin an operation."""
        inference, state = request.inference, ServedRequest(request, sequences)
        call = self._operations.begin(request_of(inference), prompt=partial(prompt_of, inference), state=state.begin)
        if call.is_open:
            self._open |= dict.fromkeys(sequences, (call, state))

    def step(self, outputs: Sequence[StepOutput]) -> None:
        """Read the outputs of a step. The last output of an operation ends it."""
        for output in outputs:
            operation = self._open.get(output.sequence)
            if operation is not None:
                call, state = operation
                if output.sequence.is_finished:
                    del self._open[output.sequence]
                    call.notify(output)
                else:
                    state.add(output)

    def cancelled(self, sequences: Sequence[SequenceTimes]) -> None:
        """End the operation of these sequences."""
        for sequence in sequences:
            operation = self._open.pop(sequence, None)
            if operation is not None:
                call, _ = operation
                call.notify(Cancellation(sequence))

    def stats(self, load: EngineLoad) -> None:
        """Report the load."""
        self._operations.engine_stats(
            self,
            EngineStats(
                provider=otel_genai.SIMULATOR,
                model=self._model,
                running=load.running,
                waiting=load.waiting,
                kv_cache_utilization=load.kv_cache_utilization,
                batch_tokens=load.batch_tokens,
                preemptions=load.preemptions,
                prefix_cache_queries=load.prefix_cache_queries,
                prefix_cache_hits=load.prefix_cache_hits,
            ),
        )
