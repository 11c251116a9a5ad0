"""What an engine tells of a request: of its sequences, of which there are several with n > 1.

The names of the sequences are the engine's own. Tokens are counted as they come, and times are taken here, because the engine's own
statistics are off as often as not; where they are on, they say how long a request waited.
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
    given,
)
from otel_genai.operation import Failure, Phase, Response, Usage
from otel_genai.semconv import gen_ai, general, otel_genai

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from otel_genai.endpoint.endpoint import Arguments
    from otel_genai.operation import Timing


class Bound(NamedTuple):
    """A sequence that the engine has been told of; `state` is `None` if it knows it no more."""

    name: Hashable
    state: Any
    arrived: float | None
    """Wall clock, in seconds since the epoch, when the engine was asked by its own account."""


class Ended(NamedTuple):
    """A sequence that is over."""

    name: Hashable
    reason: str


class Sequences(SteppedRequestState):
    """One request's sequences."""

    def __init__(self, arguments: Arguments, content: bool) -> None:
        super().__init__()
        named = given(arguments)
        params = getattr(named.get("prompt"), "params", None) or named.get("params")
        self._id = client_id(named.get("request_id"))
        self._model = engine_request(arguments).model
        self._due = getattr(params, "n", 1)
        self._content = content
        self._states: dict[Hashable, Any] = {}
        self._reasons: dict[Hashable, str] = {}
        self._arrived: float | None = None

    def add(self, word: Bound | Ended) -> bool:
        """Take in that a sequence has begun, or ended."""
        if isinstance(word, Ended):
            self._reasons[word.name] = word.reason
        elif word.state is not None:
            self._states.setdefault(word.name, word.state)
            self._arrived = self._arrived or word.arrived
        else:
            self._reasons.setdefault(word.name, gen_ai.STOP)
        return False

    def is_over(self) -> bool:
        """Whether all sequences have ended."""
        return len(self._reasons) >= self._due

    def response(self) -> Response:
        """What was generated so far, sequence by sequence."""
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
            # Of several sequences, the later ones find in the cache what the first has put there.
            cache_read=getattr(first, "num_cached_tokens", None),
        )

    def _message(self, name: Hashable) -> Message:
        text = getattr(self._states[name].detokenizer, "output_text", "")
        return Message("assistant", (Text(text),) if text else (), finish_reason=self._reason(name))

    def failure(self, content: bool) -> Failure | None:  # noqa: ARG002
        """The engine ends a request for reasons of its own without a word of them."""
        if gen_ai.ERROR in self._reasons.values():
            return Failure(general.OTHER, "the engine failed the request")
        return None

    def timing(self, heard: Timing) -> Timing:
        """The moments of the steps that brought tokens, and the phases as far as they are known."""
        timing = self.stepped(heard, to_the_end=self._ran_to_its_end())
        return timing._replace(phases=(*heard.phases, *self._preprocessing(heard), *self._phases(timing.chunks)))

    def _ran_to_its_end(self) -> bool:
        return self.is_over() and not {gen_ai.ABORT, gen_ai.ERROR} & set(self._reasons.values())

    def _preprocessing(self, heard: Timing) -> Iterator[Phase]:
        if self._arrived is not None:
            arrived = heard.started + self._arrived - heard.began_ns / 1e9
            if arrived > heard.started:
                yield Phase(otel_genai.PREPROCESS, heard.started, arrived)

    def _phases(self, chunks: Sequence[float]) -> Iterator[Phase]:
        if not chunks:
            return
        statistics = [state.stats for state in self._states.values() if getattr(state, "stats", None) is not None]
        begun = [told for told in statistics if told.scheduled_ts and told.first_token_ts]
        # The engine's clock may be another machine's: how long it took is its to say, and when it was is ours.
        first, decode = chunks[0], chunks[-1] - chunks[0]
        if begun:
            scheduled = min(told.scheduled_ts for told in begun)
            generated = min(told.first_token_ts for told in begun)
            prefilled = first - (generated - scheduled)
            queued = min(told.queued_ts for told in begun)
            if queued:
                yield Phase(otel_genai.QUEUE, prefilled - (scheduled - queued), prefilled)
            yield Phase(otel_genai.PREFILL, prefilled, first)
            decode = max(told.last_token_ts for told in begun) - generated
        yield Phase(otel_genai.DECODE, first, first + decode)


# ── where word passes by ───────────────────────────────────────────────────────────────────────────────────────────────


def bound(arguments: Arguments) -> tuple[Hashable, Bound]:
    """The sequence that an output processor has been told of."""
    request = arguments.args[0] if arguments.args else arguments.kwargs["request"]
    name = request.request_id
    state = arguments.instance.request_states.get(name)
    return name, Bound(name, state, getattr(request, "arrival_time", None))


_OUTPUTS: Final = "engine_core_outputs"


def stepped(arguments: Arguments, states: Mapping[Hashable, Any], moment: float) -> None:
    """What a step has brought. Called for every step and every sequence in it, so it does as little as can be done."""
    state_of = states.get
    for output in arguments.args[0] if arguments.args else arguments.kwargs[_OUTPUTS]:
        state = state_of(output.request_id)
        if state is not None:
            count = len(output.new_token_ids)
            if count:
                state.moments.append(moment)
                state.counts.append(count)


def finished(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, Ended]]:  # noqa: ARG001
    """The sequence that has come to its end."""
    state, reason = arguments.args[:2]
    yield state.request_id, Ended(state.request_id, str(reason))


def aborted(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, Ended]]:  # noqa: ARG001
    """The sequences that nobody wants any more."""
    for name in result or ():
        yield name, Ended(name, gen_ai.ABORT)


ADD_REQUEST: Final = Endpoint(
    default=DEFAULT,
    request=engine_request,
    prompt=engine_prompt,
    failure=engine_failure,
    state=Sequences,
    carried=engine_headers,
)
