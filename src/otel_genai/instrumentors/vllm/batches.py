"""Several prompts at once: the methods of `LLM`, which give them all to the engine, and beam search, which asks it again for every token.

A batch is no inference itself: its requests are, and have their spans beneath it. Of beam search there is one span and nothing beneath, for
none of the engine's requests stands for an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Text
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.vllm.model_name import model_name
from otel_genai.instrumentors.vllm.request import DEFAULT, client_id, engine_failure, sampled
from otel_genai.operation import Request, Response, Side, Usage
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_genai.endpoint.endpoint import Arguments

_BATCH: Final = Request(operation=otel_genai.BATCH, provider=otel_genai.VLLM, side=Side.INTERNAL)


def batch_request(arguments: Arguments) -> Request:
    """The model's name: all else is the requests'."""
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
    return arguments.args[position] if len(arguments.args) > position else arguments.kwargs["params"]


def _beams_asked(request: Request, params: Any) -> Request:
    return sampled(request, params)._replace(choice_count=params.beam_width)


def offline_request(arguments: Arguments) -> Request:
    """A search for the best answers to each of several prompts."""
    return _beams_asked(DEFAULT, _params(arguments, 1))._replace(model=model_name(arguments.instance.llm_engine))


def offline_response(result: Any, content: bool) -> Response:
    """The best answers, prompt by prompt. Each has its prompt's tokens before its own."""
    searches = [found.sequences for found in result]
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
    # Searches that came to the length they were allowed leave it unsaid.
    return getattr(answer, "finish_reason", None) or gen_ai.LENGTH


def _messages(answers: Iterable[Any]) -> tuple[Message, ...]:
    return tuple(
        Message("assistant", (Text(answer.text),) if answer.text else (), finish_reason=_reason(answer))
        for answer in answers
    )


def online_request(arguments: Arguments) -> Request:
    """A server's search for the best answers to one prompt."""
    # The server's own until 0.20 was the engine's client.
    engine = getattr(arguments.instance, "engine_client", arguments.instance)
    return _beams_asked(DEFAULT, _params(arguments, 2))._replace(model=model_name(engine))


class _Search(Fold):
    """A search that hands out one result, in the end."""

    def __init__(self, request: Request, content: bool) -> None:
        self._model = request.model
        self._content = content
        self._result: Any = None

    def add(self, chunk: Any) -> bool:
        self._result = chunk
        return False  # it was generated long before

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
