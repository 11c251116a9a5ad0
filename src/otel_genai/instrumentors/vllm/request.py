"""Requests to an engine: the arguments of its `add_request`.

The first three keep their places from vllm 0.8.5 to 0.33.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.instrumentors.vllm.model_name import model_name
from otel_genai.operation import Failure, Request, Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_genai.endpoint.arguments import Arguments

_POSITIONS: Final = ("request_id", "prompt", "params", "arrival_time", "lora_request")
_NUMBERED_ID: Final = re.compile(r"(cmpl-.+)-\d+|(resp_.+)_\d+")
"""The server's id of one part of a request (`cmpl-…-0`, `resp_…_0`). The client knows it without the number."""
_STREAMED: Final = frozenset({"CUMULATIVE", "DELTA"})
_EMBED: Final = "embed"
_POOLING: Final = {_EMBED: gen_ai.EMBEDDINGS, "token_embed": gen_ai.EMBEDDINGS}
"""Pooling tasks for which the conventions have an operation name; vLLM's own name stands for the others."""

DEFAULT: Final = Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.VLLM, side=Side.INTERNAL)


def named_arguments(arguments: Arguments) -> dict[str, Any]:
    """The arguments of `add_request` by name."""
    return arguments.by_name(_POSITIONS)


def request_params(named: Mapping[str, Any]) -> Any:
    """`SamplingParams` or `PoolingParams`; a ready-made `EngineCoreRequest`, passed as prompt, brings its own."""
    return getattr(named.get("prompt"), "params", None) or named.get("params")


def requested_model(named: Mapping[str, Any], engine: Any) -> str | None:
    """The LoRA adapter of a request, or the engine's model; `None` if neither has a name."""
    return getattr(named.get("lora_request"), "lora_name", None) or model_name(engine)


def engine_request(arguments: Arguments) -> Request:
    """The request: the model's name, and the parameters in effect."""
    named = named_arguments(arguments)
    params = request_params(named)
    request = DEFAULT._replace(model=requested_model(named, arguments.instance))
    if not hasattr(params, "temperature"):
        task = getattr(params, "task", None) or _EMBED
        return request._replace(operation=_POOLING.get(task, task), dimensions=getattr(params, "dimensions", None))
    return with_sampling(request, params)._replace(
        stream=getattr(getattr(params, "output_kind", None), "name", None) in _STREAMED,
        choice_count=params.n,
        output_type=_output_type(params),
    )


def with_sampling(request: Request, params: Any) -> Request:
    """The request with its sampling parameters. vLLM's defaults are left out if they change nothing."""
    stops = getattr(params, "stop", None)
    return request._replace(
        max_tokens=params.max_tokens,
        temperature=float(params.temperature),
        top_p=_unless(getattr(params, "top_p", None), 1.0),
        top_k=_positive(getattr(params, "top_k", None)),
        frequency_penalty=_unless(getattr(params, "frequency_penalty", None), 0.0),
        presence_penalty=_unless(getattr(params, "presence_penalty", None), 0.0),
        stop_sequences=((stops,) if isinstance(stops, str) else tuple(stops)) if stops else None,
        seed=getattr(params, "seed", None),
    )


def _unless(value: float | None, default: float) -> float | None:
    return None if value == default else value


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None


def _output_type(params: Any) -> str | None:
    # Before vllm 0.11 the parameter is `guided_decoding`.
    structured = getattr(params, "structured_outputs", None) or getattr(params, "guided_decoding", None)
    asks_for_json = getattr(structured, "json", None) is not None or getattr(structured, "json_object", None)
    return "json" if asks_for_json else None


def engine_prompt(arguments: Arguments) -> Prompt:
    """The prompt as the model reads it, a conversation as one text; empty if it is no text and cannot be decoded to one."""
    named = named_arguments(arguments)
    prompt = named.get("prompt")
    text = prompt if isinstance(prompt, str) else named.get("prompt_text")
    ids = getattr(prompt, "prompt_token_ids", None)
    if isinstance(prompt, dict):
        text, ids = prompt.get("prompt") or text, prompt.get("prompt_token_ids")
    if text is None and ids is not None:
        text = _decode(arguments.instance.output_processor, ids)
    return Prompt(messages=(Message("user", (Text(text),)),)) if isinstance(text, str) else Prompt()


def _decode(processor: Any, ids: Any) -> str | None:
    tokenizer = getattr(processor, "tokenizer", None)
    if not hasattr(tokenizer, "decode"):
        tokenizer = getattr(tokenizer, "tokenizer", None)  # of a tokenizer group, before vllm 0.11
    return None if tokenizer is None else str(tokenizer.decode(list(ids)))


def engine_headers(arguments: Arguments) -> Mapping[str, str] | None:
    """The W3C headers that a server passes to the engine."""
    headers: Mapping[str, str] | None = arguments.kwargs.get("trace_headers")
    return headers


def client_id(request_id: Any) -> str | None:
    """The id under which a client knows a request; `None` if it is no text."""
    if not isinstance(request_id, str):
        return None
    numbered = _NUMBERED_ID.fullmatch(request_id)
    return (numbered[1] or numbered[2]) if numbered else request_id


def engine_failure(error: BaseException, content: bool) -> Failure:
    """The failure of a request. The message is content: vLLM's errors may repeat the prompt."""
    return Failure.of(error, message=str(error) if content else None)
