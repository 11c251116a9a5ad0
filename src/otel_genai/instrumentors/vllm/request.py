"""What an engine is asked for: the arguments of its `add_request`, of which the first three have kept their places in every version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.instrumentors.vllm.model_name import model_name
from otel_genai.operation import Failure, Request, Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_genai.endpoint.endpoint import Arguments

_POSITIONS: Final = ("request_id", "prompt", "params", "arrival_time", "lora_request")
_OF_SEVERAL: Final = re.compile(r"(cmpl-.+)-\d+|(resp_.+)_\d+")
"""What the server calls one of a request's several parts; its client knows the part before the number."""
_STREAMED: Final = frozenset({"CUMULATIVE", "DELTA"})
_EMBED: Final = "embed"
_POOLING: Final = {_EMBED: gen_ai.EMBEDDINGS, "token_embed": gen_ai.EMBEDDINGS}
"""Kinds of pooling that the conventions have a word for; the others are their own."""

DEFAULT: Final = Request(operation=gen_ai.TEXT_COMPLETION, provider=otel_genai.VLLM, side=Side.INTERNAL)


def given(arguments: Arguments) -> dict[str, Any]:
    """The arguments by name."""
    return {**dict(zip(_POSITIONS, arguments.args, strict=False)), **arguments.kwargs}


def engine_request(arguments: Arguments) -> Request:
    """The request: the model's name, and the parameters that are in effect."""
    named = given(arguments)
    # A ready-made request brings parameters of its own.
    params: Any = getattr(named.get("prompt"), "params", None) or named.get("params")
    lora = getattr(named.get("lora_request"), "lora_name", None)
    request = DEFAULT._replace(model=lora or model_name(arguments.instance))
    if not hasattr(params, "temperature"):
        task = getattr(params, "task", None) or _EMBED
        return request._replace(operation=_POOLING.get(task, task), dimensions=getattr(params, "dimensions", None))
    return sampled(request, params)._replace(
        stream=getattr(getattr(params, "output_kind", None), "name", None) in _STREAMED,
        choice_count=params.n,
        output_type=_output_type(params),
    )


def sampled(request: Request, params: Any) -> Request:
    """The request, with how its answer is sampled. What is vLLM's default and changes nothing is left out."""
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
    # Until 0.11 by another name.
    structured = getattr(params, "structured_outputs", None) or getattr(params, "guided_decoding", None)
    asks_for_json = getattr(structured, "json", None) is not None or getattr(structured, "json_object", None)
    return "json" if asks_for_json else None


def engine_prompt(arguments: Arguments) -> Prompt:
    """The prompt as the model sees it: a conversation is one text by then. Nothing if it is no text and cannot be made one."""
    named = given(arguments)
    prompt = named.get("prompt")
    text = prompt if isinstance(prompt, str) else named.get("prompt_text")
    ids = getattr(prompt, "prompt_token_ids", None)
    if isinstance(prompt, dict):
        text, ids = prompt.get("prompt") or text, prompt.get("prompt_token_ids")
    if text is None and ids is not None:
        text = decoded(arguments.instance.output_processor, ids)
    return Prompt(messages=(Message("user", (Text(text),)),)) if isinstance(text, str) else Prompt()


def decoded(processor: Any, ids: Any) -> str | None:
    """Tokens as text; `None` if whoever processes outputs has no tokenizer."""
    tokenizer = getattr(processor, "tokenizer", None)
    if not hasattr(tokenizer, "decode"):
        tokenizer = getattr(tokenizer, "tokenizer", None)  # until 0.11 it was one of a group
    return None if tokenizer is None else str(tokenizer.decode(list(ids)))


def engine_headers(arguments: Arguments) -> Mapping[str, str] | None:
    """The W3C headers that a server hands on."""
    headers: Mapping[str, str] | None = arguments.kwargs.get("trace_headers")
    return headers


def client_id(request_id: Any) -> str | None:
    """A request's id as its client knows it."""
    if not isinstance(request_id, str):
        return None
    found = _OF_SEVERAL.fullmatch(request_id)
    return (found[1] or found[2]) if found else request_id


def engine_failure(error: BaseException, content: bool) -> Failure:
    """What went wrong. The engine's errors may repeat what was asked."""
    return Failure.of(error, message=str(error) if content else None)
