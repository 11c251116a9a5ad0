"""Requests of an engine, by their sequences: several with n > 1, each under the engine's own name.

Tokens are counted and times are taken here, since the engine's statistics may be off. Where they are on, they add the time in the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_genai.content import Message, Text
from otel_genai.endpoint.endpoint import Endpoint, SteppedRequestState
from otel_genai.instrumentors.vllm.request import (
    DEFAULT,
    client_id,
    engine_failure,
    engine_headers,
    engine_prompt,
    engine_request,
    named_arguments,
    request_params,
    requested_model,
)
from otel_genai.operation import Failure, Phase, Response, Usage
from otel_genai.semconv import gen_ai, general, otel_genai

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.operation import Timing


class Added(NamedTuple):
    """A sequence in a call of `OutputProcessor.add_request`."""

    name: Hashable
    state: Any
    """The processor's `RequestState` of the sequence; `None` if the call ended it (a session whose input has ended)."""
    arrival_time: float | None
    """When vLLM's own clock for the request starts; wall clock, in seconds since the epoch."""


class Finished(NamedTuple):
    """The end of a sequence."""

    name: Hashable
    reason: str


class Sequences(SteppedRequestState):
    """The sequences of one request."""

    def __init__(self, arguments: Arguments, content: bool) -> None:
        super().__init__()
        named = named_arguments(arguments)
        self._id = client_id(named.get("request_id"))
        self._model = requested_model(named, arguments.instance)
        self._expected = getattr(request_params(named), "n", 1)
        self._content = content
        self._states: dict[Hashable, Any] = {}
        self._reasons: dict[Hashable, str] = {}
        self._arrival_time: float | None = None

    def add(self, event: Added | Finished) -> bool:
        """Take in that a sequence has begun or ended."""
        if isinstance(event, Finished):
            self._reasons[event.name] = event.reason
        elif event.state is not None:
            self._states.setdefault(event.name, event.state)
            self._arrival_time = self._arrival_time or event.arrival_time
        else:
            self._reasons.setdefault(event.name, gen_ai.STOP)
        return False

    def is_over(self) -> bool:
        """Whether all sequences have ended."""
        return len(self._reasons) >= self._expected

    def response(self) -> Response:
        """The output so far, sequence by sequence."""
        generating = [state for state in self._states.values() if getattr(state, "detokenizer", None) is not None]
        first = next(iter(self._states.values()), None)
        return Response(
            id=self._id,
            model=self._model,
            finish_reasons=tuple(self._reason(name) for name in self._states) if generating else (),
            usage=None if first is None else self._usage(first, generating),
            messages=tuple(map(self._message, self._states)) if self._content and generating else (),
        )

    def _reason(self, name: Hashable) -> str:
        return self._reasons.get(name, gen_ai.ERROR)

    def _usage(self, first: Any, generating: Sequence[Any]) -> Usage:
        return Usage(
            input=first.prompt_len,
            output=sum(len(state.detokenizer.output_token_ids) for state in generating) if generating else None,
            # The first sequence alone: the others find the first one's prompt in the cache.
            cache_read=getattr(first, "num_cached_tokens", None),
        )

    def _message(self, name: Hashable) -> Message:
        text = getattr(self._states[name].detokenizer, "output_text", "")
        return Message("assistant", (Text(text),) if text else (), finish_reason=self._reason(name))

    def failure(self, content: bool) -> Failure | None:  # noqa: ARG002
        """A failure if the engine ended a sequence with `error`. vLLM gives no cause."""
        if gen_ai.ERROR in self._reasons.values():
            return Failure(general.OTHER, "the engine failed the request")
        return None

    def timing(self, observed: Timing) -> Timing:
        """The times of the steps that brought tokens, and the phases that are known."""
        timing = self.stepped(observed, to_the_end=self._is_complete())
        phases = (*observed.phases, *self._preprocessing(observed), *self._phases(timing.chunks))
        return timing._replace(phases=phases)

    def _is_complete(self) -> bool:
        return self.is_over() and not {gen_ai.ABORT, gen_ai.ERROR} & set(self._reasons.values())

    def _preprocessing(self, observed: Timing) -> Iterator[Phase]:
        if self._arrival_time is not None:
            ended = observed.started + self._arrival_time - observed.began_ns / 1e9
            if ended > observed.started:
                yield Phase(otel_genai.PREPROCESS, observed.started, ended)

    def _phases(self, chunks: Sequence[float]) -> Iterator[Phase]:
        if not chunks:
            return
        stats = [state.stats for state in self._states.values() if getattr(state, "stats", None) is not None]
        generating = [one for one in stats if one.scheduled_ts and one.first_token_ts]
        # The engine's core may run on another machine. Its clock gives durations; ours gives the time of the first token.
        first, decode = chunks[0], chunks[-1] - chunks[0]
        if generating:
            scheduled = min(one.scheduled_ts for one in generating)
            generated = min(one.first_token_ts for one in generating)
            prefill_started = first - (generated - scheduled)
            queued = min(one.queued_ts for one in generating)
            if queued:
                yield Phase(otel_genai.QUEUE, prefill_started - (scheduled - queued), prefill_started)
            yield Phase(otel_genai.PREFILL, prefill_started, first)
            decode = max(one.last_token_ts for one in generating) - generated
        yield Phase(otel_genai.DECODE, first, first + decode)


# ── vllm/v1/engine/output_processor.py ─────────────────────────────────────────────────────────────────────────────────


def started(arguments: Arguments) -> tuple[Hashable, Added]:
    """The sequence in a call of `OutputProcessor.add_request`."""
    request = arguments.positional_or_keyword(0, "request")
    name = request.request_id
    state = arguments.instance.request_states.get(name)
    return name, Added(name, state, getattr(request, "arrival_time", None))


def stepped(arguments: Arguments, states: Mapping[Hashable, Any], moment: float) -> None:
    """Add the tokens of one step to the states of its sequences. It runs at every step, for every sequence: keep it minimal."""
    state_of = states.get
    for output in arguments.positional_or_keyword(0, "engine_core_outputs"):
        state = state_of(output.request_id)
        if state is not None:
            count = len(output.new_token_ids)
            if count:
                state.moments.append(moment)
                state.counts.append(count)


def finished(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, Finished]]:  # noqa: ARG001
    """The sequence that a call of `OutputProcessor._update_stats_from_finished` ended."""
    state, reason = arguments.args[:2]
    yield state.request_id, Finished(state.request_id, str(reason))


def aborted(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, Finished]]:  # noqa: ARG001
    """The sequences that a call of `OutputProcessor.abort_requests` ended: its result."""
    for name in result or ():
        yield name, Finished(name, gen_ai.ABORT)


ADD_REQUEST: Final = Endpoint(
    default=DEFAULT,
    request=engine_request,
    prompt=engine_prompt,
    failure=engine_failure,
    state=Sequences,
    carried=engine_headers,
)
