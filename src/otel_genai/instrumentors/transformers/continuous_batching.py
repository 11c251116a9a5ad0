"""Continuous batching: one thread adds a request, another works on it, and an `OutputRouter` delivers its outputs.

Times are the manager's own. It has a time for each token only with `streaming` or `record_timestamps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, RequestState
from otel_genai.instrumentors.transformers.decoding import tokenizer_of
from otel_genai.instrumentors.transformers.generate import generate_failure
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Failure, Phase, Request, Response, Side, Usage
from otel_genai.semconv import gen_ai, general, otel_genai

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.operation import Timing

_POSITIONS: Final = ("input_ids", "request_id", "max_new_tokens", "streaming", "record_timestamps", "eos_token_id")
_CHILD: Final = "__child#"
"""Separator of a request's id and the number of a further sequence (transformers 5.23 continuous_api.py)."""

_DEFAULT: Final = Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL)


def _named(arguments: Arguments) -> dict[str, Any]:
    return arguments.by_name(_POSITIONS)


def batched_request(arguments: Arguments) -> Request:
    """The request: the model's name, and the parameters in effect."""
    manager, named = arguments.instance, _named(arguments)
    # All requests have their manager's sampling parameters; greedy decoding ignores them.
    sampling = manager.generation_config if getattr(manager.generation_config, "do_sample", False) else None
    return _DEFAULT._replace(
        model=model_name(manager.model),
        stream=bool(named.get("streaming")),
        choice_count=_sequences(manager),
        max_tokens=_limit(arguments),
        temperature=getattr(sampling, "temperature", None),
        top_p=getattr(sampling, "top_p", None),
        top_k=getattr(sampling, "top_k", None),
    )


def batched_prompt(arguments: Arguments) -> Prompt:
    """The prompt as the model reads it, with special tokens; empty without a tokenizer."""
    tokenizer = tokenizer_of(arguments.instance.model)
    if tokenizer is None:
        return Prompt()
    return Prompt(messages=(Message("user", (Text(tokenizer.decode(list(_named(arguments)["input_ids"]))),)),))


def _sequences(manager: Any) -> int:
    return int(getattr(manager, "num_return_sequences", 1))


def _limit(arguments: Arguments) -> int | None:
    limit = _named(arguments).get("max_new_tokens")
    return getattr(arguments.instance.generation_config, "max_new_tokens", None) if limit is None else limit


def _ends(arguments: Arguments) -> frozenset[int]:
    ends = _named(arguments).get("eos_token_id")
    ends = getattr(arguments.instance.generation_config, "eos_token_id", None) if ends is None else ends
    return frozenset(() if ends is None else ends if isinstance(ends, list | tuple) else (ends,))


class BatchedRequest(RequestState):
    """One request. Each output holds all tokens so far of one of its sequences."""

    def __init__(self, arguments: Arguments, content: bool) -> None:
        self._tokenizer = tokenizer_of(arguments.instance.model) if content else None
        self._prompt_tokens = len(_named(arguments)["input_ids"])
        self._ends = _ends(arguments)
        self._expected = _sequences(arguments.instance)
        self._outputs: dict[str, Any] = {}
        self._new_tokens: list[int] = []
        self._is_cancelled = False

    def add(self, chunk: Any) -> bool:
        """Take in an output; `None` is a cancellation."""
        if chunk is None:
            self._is_cancelled = True
            self._new_tokens.append(0)
            return False
        before = self._outputs.get(chunk.request_id)
        new = len(chunk.generated_tokens) - (len(before.generated_tokens) if before is not None else 0)
        self._outputs[chunk.request_id] = chunk
        self._new_tokens.append(new)
        return new > 0

    def is_over(self) -> bool:
        """Whether all sequences have ended, one has failed, or the request is cancelled."""
        finished = [output for output in self._outputs.values() if output.is_finished()]
        return (
            self._is_cancelled
            or len(finished) == self._expected
            or any(output.error is not None for output in finished)
        )

    def tokens(self) -> Sequence[int]:
        """How many tokens each output added."""
        return self._new_tokens

    def response(self) -> Response:
        """The output so far. The finish reason of a sequence cut short is `error`."""
        outputs = self._outputs.values()
        reasons = [self._reason(output) for output in outputs]
        return Response(
            finish_reasons=(*reasons, *(gen_ai.ERROR for _ in range(self._expected - len(reasons)))),
            usage=Usage(input=self._prompt_tokens, output=sum(len(output.generated_tokens) for output in outputs)),
            messages=tuple(map(self._message, outputs, reasons)) if self._tokenizer is not None else (),
        )

    def _message(self, output: Any, reason: str) -> Message:
        tokens = output.generated_tokens
        text = self._tokenizer.decode(tokens[:-1] if reason == gen_ai.STOP else tokens)  # type: ignore[union-attr]  # messages are made with one only
        return Message("assistant", (Text(text),), finish_reason=reason)

    def _reason(self, output: Any) -> str:
        if output.error is not None or not output.is_finished():
            return gen_ai.ERROR
        return gen_ai.STOP if output.generated_tokens and output.generated_tokens[-1] in self._ends else gen_ai.LENGTH

    def failure(self, content: bool) -> Failure | None:
        """The failure of an output. The library gives a message without a type, and it may hold content."""
        for output in self._outputs.values():
            if output.error is not None:
                return Failure(general.OTHER, "the request failed", message=str(output.error) if content else None)
        return None

    def timing(self, observed: Timing) -> Timing:
        """The manager's times: of the queue, of generation, and of each token if it recorded them."""
        outputs = list(self._outputs.values())
        recorded = sorted(moment for output in outputs for moment in output.timestamps or ())
        if recorded:
            chunks, tokens = recorded, [1] * len(recorded)
        elif observed.tokens and len(outputs) < len(observed.tokens):
            chunks = [moment for moment, new in zip(observed.chunks, observed.tokens, strict=True) if new]
            tokens = [new for new in observed.tokens if new]
        else:
            chunks, tokens = [], []  # one output with all tokens: their times are unknown
        first = chunks[0] if chunks else None
        begun = [output.lifespan[0] for output in outputs if output.lifespan[0] >= 0]
        ended = [output.lifespan[1] for output in outputs if output.lifespan[1] >= 0]
        timing = observed._replace(
            ended=observed.ended if self._is_cancelled or not ended else max(ended),
            chunks=chunks,
            waits=(0.0,) * len(chunks),
            tokens=tokens,
            first_token=first,
        )
        return timing._replace(phases=tuple(_phases(timing, min(begun)))) if begun else timing


def _phases(timing: Timing, begun: float) -> Iterator[Phase]:
    yield Phase(otel_genai.QUEUE, timing.started, begun)
    if timing.first_token is None:
        yield Phase(otel_genai.GENERATE, begun, timing.ended)
    else:
        yield Phase(otel_genai.PREFILL, begun, timing.first_token)
        yield Phase(otel_genai.DECODE, timing.first_token, timing.ended)


# ── keys of requests ───────────────────────────────────────────────────────────────────────────────────────────────────


def request_key(arguments: Arguments, result: Any) -> Hashable | None:  # noqa: ARG001
    """The key of an added request, unique in its manager; `None` if it was refused."""
    return None if result is None else _key(result)


def delivered(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, Any]]:  # noqa: ARG001
    """The outputs that the router delivers, one or several."""
    outputs = arguments.args[0] if arguments.args else next(iter(arguments.kwargs.values()))
    for output in outputs if isinstance(outputs, list) else (outputs,):
        yield _key(output.request_id), output


def cancelled(arguments: Arguments, result: Any) -> Iterator[tuple[Hashable, None]]:  # noqa: ARG001
    """The request that the application cancels."""
    yield _key(arguments.positional_or_keyword(0, "request_id")), None


def _key(request_id: str) -> Hashable:
    return request_id.partition(_CHILD)[0]


ADD_REQUEST: Final = Endpoint(
    default=_DEFAULT,
    request=batched_request,
    prompt=batched_prompt,
    failure=generate_failure,
    state=BatchedRequest,
    key=request_key,
)
