"""Calls that make several requests of the engine: the batch methods of `LLM`, and beam search.

The span of a batch is no inference and has a child for each request. The span of a beam search is one inference without children:
it makes a request for every beam and token, none of which is an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Text
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.vllm.model_name import model_name
from otel_genai.instrumentors.vllm.request import DEFAULT, client_id, engine_failure, with_sampling
from otel_genai.operation import Request, Response, Side, Usage
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_genai.endpoint.arguments import Arguments

_BATCH: Final = Request(operation=otel_genai.BATCH, provider=otel_genai.VLLM, side=Side.INTERNAL)


def batch_request(arguments: Arguments) -> Request:
    """The request: the model's name alone. Its children have the parameters."""
    return _BATCH._replace(model=model_name(arguments.instance.llm_engine))


GENERATE: Final = Endpoint(
    default=_BATCH,
    request=batch_request,
    failure=engine_failure,
    inference=lambda _: gen_ai.TEXT_COMPLETION,
)
CHAT: Final = replace(GENERATE, inference=lambda _: gen_ai.CHAT)
POOL: Final = replace(GENERATE, inference=lambda _: None)


# ── beam search ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _params(arguments: Arguments, position: int) -> Any:
    return arguments.positional_or_keyword(position, "params")


def _search_request(params: Any, engine: Any) -> Request:
    return with_sampling(DEFAULT, params)._replace(model=model_name(engine), choice_count=params.beam_width)


def offline_request(arguments: Arguments) -> Request:
    """The request of `LLM.beam_search`: the best answers to each of several prompts."""
    return _search_request(_params(arguments, 1), arguments.instance.llm_engine)


def offline_response(result: Any, content: bool) -> Response:
    """The best answers, prompt by prompt. `tokens` of an answer begin with those of its prompt."""
    searches = [output.sequences for output in result]
    beams = [beam for sequences in searches for beam in sequences]
    return Response(
        finish_reasons=tuple(map(_reason, beams)),
        usage=Usage(
            input=sum(len(sequences[0].tokens) - len(sequences[0].logprobs) for sequences in searches if sequences),
            output=sum(len(beam.logprobs) for beam in beams),
        ),
        messages=_messages(beams) if content else (),
    )


def _reason(answer: Any) -> str:
    # vLLM leaves the reason out for a search that ends at its length limit.
    return getattr(answer, "finish_reason", None) or gen_ai.LENGTH


def _messages(answers: Iterable[Any]) -> tuple[Message, ...]:
    return tuple(
        Message("assistant", (Text(answer.text),) if answer.text else (), finish_reason=_reason(answer))
        for answer in answers
    )


def online_request(arguments: Arguments) -> Request:
    """The request of a server's `beam_search`: the best answers to one prompt."""
    # Until vllm 0.20 it is a method of the engine client itself.
    return _search_request(_params(arguments, 2), getattr(arguments.instance, "engine_client", arguments.instance))


class _Search(Fold):
    """A search that yields one result, at its end."""

    def __init__(self, request: Request, content: bool) -> None:
        self._model = request.model
        self._content = content
        self._result: Any = None

    def add(self, chunk: Any) -> bool:
        self._result = chunk
        return False  # not the moment at which it was generated

    def response(self) -> Response:
        result = self._result
        if result is None:
            return Response(model=self._model)
        return Response(
            id=client_id(result.request_id),
            model=self._model,
            finish_reasons=tuple(map(_reason, result.outputs)),
            usage=Usage(
                input=None if result.prompt_token_ids is None else len(result.prompt_token_ids),
                output=sum(len(output.token_ids) for output in result.outputs),
            ),
            messages=_messages(result.outputs) if self._content else (),
        )


OFFLINE_SEARCH: Final = Endpoint(
    default=DEFAULT, request=offline_request, response=offline_response, failure=engine_failure
)
ONLINE_SEARCH: Final = Endpoint(default=DEFAULT, request=online_request, fold=_Search, failure=engine_failure)
